//! `net-block`: packets are dropped or rejected.

use super::{
    About, Connections, Direction, Engine, Expect, Invalid, Kind, OnTraffic, Refuse, Trial,
    invalid::{NOT_BLOCKED, chosen},
    traffic::on_traffic,
};
use crate::Touches;

on_traffic! {
    /// `net-block`: drop or reject traffic with some peers. The control path, SSH, loopback, neighbour discovery and DHCP
    /// are never blocked.
    NetBlock, "Direction::default" => Direction::Both, |block: &Self| block.connections;
    /// Whether the packets are dropped, or rejected with an answer.
    #[serde(default)]
    how: Refuse,
    /// Only packets of some connections: `new` ones, or `replies`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connections: Option<Connections>,
}

impl Kind for NetBlock {
    fn about(&self) -> About<'_> {
        About::of_packets("blocked", None, Trial::of(self.traffic(), self.how.expected(), Trial::FEW))
    }

    fn invalid(&self) -> Option<Invalid> {
        let in_user_space = || (self.engine == Engine::UserSpace).then_some(NOT_BLOCKED);
        chosen(&self.traffic()).or_else(in_user_space)
    }

    fn touches(&self) -> Touches {
        self.traffic().touches()
    }
}

impl Refuse {
    const fn expected(self) -> Expect {
        match self {
            Self::Drop => Expect::Silence,
            Self::Reject => Expect::NoAnswer,
        }
    }
}
