//! `net-duplicate`: some packets come twice.

use super::{
    About, Direction, Expect, Invalid, Kind, OnTraffic, Trial,
    invalid::{chosen, some},
    traffic::on_traffic,
};
use crate::{Share, Touches};

on_traffic! {
    /// `net-duplicate`: send some packets twice. The control path, SSH, loopback, neighbour discovery, DHCP and cloud
    /// metadata are never touched.
    NetDuplicate, "Direction::outward" => Direction::Out, |_: &Self| None;
    /// Share of the packets that come twice.
    share: Share,
    /// Correlation of each draw with the one before.
    #[serde(default, skip_serializing_if = "Share::is_none")]
    correlation: Share,
}

impl Kind for NetDuplicate {
    fn about(&self) -> About<'_> {
        About::of_packets("duplicated", None, Trial::of(self.traffic(), Expect::Anything, Trial::UNCERTAIN))
    }

    fn invalid(&self) -> Option<Invalid> {
        chosen(&self.traffic()).or_else(|| some(self.share))
    }

    fn touches(&self) -> Touches {
        self.traffic().touches()
    }
}
