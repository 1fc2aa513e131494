//! `net-slow`: packets come late.

use serde::{Deserialize, Serialize};

use super::{
    About, Direction, Expect, Invalid, Kind, Late, OnTraffic, Trial,
    invalid::{chosen, wrong},
    traffic::on_traffic,
};
use crate::{RefusalCode, Share, Span, Touches};

/// The distribution of delays around their mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Evenly between delay - jitter and delay + jitter.
    #[default]
    Uniform,
    /// Bell-shaped; the jitter is one sigma.
    Normal,
    /// With a long tail on the late side.
    Pareto,
    /// A quarter normal, three quarters Pareto.
    ParetoNormal,
}

impl Distribution {
    fn is_uniform(&self) -> bool {
        *self == Self::Uniform
    }
}

/// For serde: the default is left out.
fn no_time(span: &Span) -> bool {
    span.is_zero()
}

on_traffic! {
    /// `net-slow`: delay packets. The control path, SSH, loopback, neighbour discovery, DHCP and cloud metadata are never
    /// touched.
    NetSlow, "Direction::outward" => Direction::Out, |_: &Self| None;
    /// The mean delay of a packet, each way that `direction` names.
    delay: Span,
    /// Scatter of the delays: half the width, or one sigma (see `distribution`).
    #[serde(default, skip_serializing_if = "no_time")]
    jitter: Span,
    /// Correlation of each delay with the one before.
    #[serde(default, skip_serializing_if = "Share::is_none")]
    correlation: Share,
    /// The distribution of delays around their mean.
    #[serde(default, skip_serializing_if = "Distribution::is_uniform")]
    distribution: Distribution,
}

impl Kind for NetSlow {
    fn about(&self) -> About<'_> {
        About::of_packets("delayed", Some(Late { delay: self.delay, jitter: self.jitter }), self.trial())
    }

    fn invalid(&self) -> Option<Invalid> {
        chosen(&self.traffic()).or_else(|| late(self))
    }

    fn touches(&self) -> Touches {
        self.traffic().touches()
    }
}

impl NetSlow {
    /// Returns the trial. As long as the jitter is not above the delay, the median of the exchanges is at least half of the delay.
    fn trial(&self) -> Trial<'_> {
        let ways = self.traffic().ways();
        let delay = self.delay.as_micros().saturating_mul(ways);
        let most = delay.saturating_add(self.jitter.as_micros().saturating_mul(4 * ways));
        let expect = if self.jitter <= self.delay { Expect::AtLeast(delay / 2) } else { Expect::Anything };
        Trial::Path { traffic: self.traffic(), expect, count: Trial::FEW, adds: Span::micros(most) }
    }
}

/// Checks the delay and its distribution.
fn late(slow: &NetSlow) -> Option<Invalid> {
    match (slow.delay.is_zero(), slow.jitter.is_zero()) {
        (true, true) => {
            wrong(RefusalCode::NoDelay, "a delay of no time slows nothing", "for example \"300ms\"")
        }
        (true, false) => wrong(
            RefusalCode::NoDelay,
            "a jitter without a delay",
            "jitter scatters around `delay`: give both, such as delay = \"500ms\", jitter = \"100ms\"",
        ),
        (false, true) if slow.distribution != Distribution::Uniform => wrong(
            RefusalCode::NoJitter,
            "a distribution without a jitter",
            "give `jitter`, which it scatters by",
        ),
        (false, true) if !slow.correlation.is_none() => wrong(
            RefusalCode::NoJitter,
            "a correlation without a jitter",
            "delays that do not scatter have none: give `jitter`, or leave it out",
        ),
        _ => None,
    }
}
