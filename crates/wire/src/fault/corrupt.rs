//! `net-corrupt`: some packets have a bit flipped.

use super::{
    About, Direction, Expect, Invalid, Kind, OnTraffic, Trial,
    invalid::{chosen, some},
    traffic::on_traffic,
};
use crate::{Share, Touches};

on_traffic! {
    /// `net-corrupt`: flip one bit in some packets, so that the receiver's checksum finds them. The control path, SSH,
    /// loopback, neighbour discovery, DHCP and cloud metadata are never touched.
    NetCorrupt, "Direction::outward" => Direction::Out, |_: &Self| None;
    /// Share of the packets that are damaged.
    share: Share,
    /// Correlation of each draw with the one before.
    #[serde(default, skip_serializing_if = "Share::is_none")]
    correlation: Share,
}

impl Kind for NetCorrupt {
    fn about(&self) -> About<'_> {
        About::of_packets("damaged", None, Trial::of(self.traffic(), Expect::Anything, Trial::UNCERTAIN))
    }

    fn invalid(&self) -> Option<Invalid> {
        chosen(&self.traffic()).or_else(|| some(self.share))
    }

    fn touches(&self) -> Touches {
        self.traffic().touches()
    }
}
