//! `net-reorder`: some packets overtake the others.

use super::{
    About, Direction, Expect, Invalid, Kind, Late, OnTraffic, Trial,
    invalid::{chosen, some, wrong},
    traffic::on_traffic,
};
use crate::{RefusalCode, Share, Span, Touches};

on_traffic! {
    /// `net-reorder`: delay packets, except some, which overtake the others. The control path, SSH, loopback, neighbour
    /// discovery, DHCP and cloud metadata are never touched.
    NetReorder, "Direction::outward" => Direction::Out, |_: &Self| None;
    /// Delay of the other packets; only a packet that waits can be overtaken.
    delay: Span,
    /// Share of the packets that overtake.
    share: Share,
    /// Correlation of each draw with the one before.
    #[serde(default, skip_serializing_if = "Share::is_none")]
    correlation: Share,
    /// Only one packet in this number may overtake; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gap: Option<u32>,
}

impl Kind for NetReorder {
    fn about(&self) -> About<'_> {
        About::of_packets(
            "reordered",
            Some(Late { delay: self.delay, jitter: Span::ZERO }),
            Trial::of(self.traffic(), Expect::Anything, Trial::UNCERTAIN),
        )
    }

    fn invalid(&self) -> Option<Invalid> {
        if let Some(invalid) = chosen(&self.traffic()) {
            return Some(invalid);
        }
        if self.delay.is_zero() {
            return wrong(
                RefusalCode::NoDelay,
                "without a delay nothing can be overtaken",
                "give the others a `delay`, for example \"50ms\"",
            );
        }
        some(self.share)
    }

    fn touches(&self) -> Touches {
        self.traffic().touches()
    }
}
