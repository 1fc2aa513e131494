//! `net-throttle`: the rate of traffic is limited.

use super::{
    About, Direction, Expect, Invalid, Kind, OnTraffic, Trial,
    invalid::{chosen, wrong},
    traffic::on_traffic,
};
use crate::{BitRate, ByteSize, RefusalCode, Touches};

/// The least burst that lets a full Ethernet frame through, with its header and a VLAN tag.
const BURST_LEAST: ByteSize = ByteSize(1_600);

on_traffic! {
    /// `net-throttle`: limit the rate of traffic; the rest waits. The control path, SSH, loopback, neighbour
    /// discovery, DHCP and cloud metadata are never touched.
    NetThrottle, "Direction::outward" => Direction::Out, |_: &Self| None;
    /// Maximum rate of all selected traffic together.
    rate: BitRate,
    /// Maximum size of a burst after a pause; 32kB by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    burst: Option<ByteSize>,
}

impl NetThrottle {
    /// The default of the burst.
    pub const BURST: ByteSize = ByteSize(32_000);
}

impl Kind for NetThrottle {
    fn about(&self) -> About<'_> {
        About::of_packets("throttled", None, Trial::of(self.traffic(), Expect::Anything, Trial::UNCERTAIN))
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
