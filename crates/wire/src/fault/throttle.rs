//! `net-throttle`: only so much passes in a second.

use super::{
    About, Direction, Expect, Invalid, Kind, OnTraffic, Trial,
    invalid::{chosen, wrong},
    traffic::on_traffic,
};
use crate::{BitRate, ByteSize, RefusalCode, Touches};

/// The least burst that lets a full frame of an Ethernet through, with its header and a VLAN's tag.
const BURST_LEAST: ByteSize = ByteSize(1_600);

on_traffic! {
    /// `net-throttle`: let only so much through a second; the rest waits. The control path, SSH, loopback, neighbour
    /// discovery, DHCP and cloud metadata are never touched.
    NetThrottle, "Direction::outward" => Direction::Out, |_: &Self| None;
    /// Maximum rate of all chosen traffic together.
    rate: BitRate,
    /// Maximum size of a burst after a pause; 32kB unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    burst: Option<ByteSize>,
}

impl NetThrottle {
    /// The burst unless one is given.
    pub const BURST: ByteSize = ByteSize(32_000);
}

impl Kind for NetThrottle {
    fn about(&self) -> About<'_> {
        About::of_packets("throttled", None, Trial::of(self.traffic(), Expect::Anything, 10))
    }

    fn invalid(&self) -> Option<Invalid> {
        if let Some(invalid) = chosen(&self.traffic()) {
            return Some(invalid);
        }
        if self.rate.0 == 0 {
            return wrong(
                RefusalCode::NoRate,
                "a rate of nothing lets nothing through",
                "for example \"10mbit\"; to let nothing through take net-block",
            );
        }
        if self.burst.is_some_and(|burst| burst < BURST_LEAST) {
            return wrong(
                RefusalCode::BadBurst,
                "no full frame fits into the burst",
                "\"1600B\" or more; leave it out for 32kB",
            );
        }
        None
    }

    fn touches(&self) -> Touches {
        self.traffic().touches()
    }
}
