//! `net-lose`: some packets never arrive, each by chance or in bursts.

use serde::{Deserialize, Serialize};

use super::{
    About, Direction, Expect, Invalid, Kind, OnTraffic, Trial,
    invalid::{chosen, some, wrong},
    traffic::on_traffic,
};
use crate::{RefusalCode, Share, Touches};

/// Number of exchanges of a trial. If half of the packets in one direction are lost, all exchanges are answered with a probability
/// of one in a million, so a share of 50% or more can be refuted.
const EXCHANGES: u32 = 20;

/// Loss in bursts by the Gilbert-Elliott model: the line is in a good or a bad state, and changes to the other one at random at each
/// packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GilbertElliott {
    /// The chance of passing from good to bad, at each packet.
    pub to_bad: Share,
    /// The chance of passing from bad to good, at each packet; a burst is 1 / `to_good` packets long on average.
    pub to_good: Share,
    /// Share of the packets that are lost in the bad state.
    #[serde(default = "GilbertElliott::default_in_bad")]
    pub in_bad: Share,
    /// Share of the packets that are lost in the good state.
    #[serde(default)]
    pub in_good: Share,
}

impl GilbertElliott {
    const fn default_in_bad() -> Share {
        Share::ALL
    }
}

on_traffic! {
    /// `net-lose`: lose some packets, by chance (`share`) or in bursts (`gilbert_elliott`). The control path, SSH, loopback,
    /// neighbour discovery, DHCP and cloud metadata are never touched.
    NetLose, "Direction::outward" => Direction::Out, |_: &Self| None;
    /// Share of the packets that are lost, each by chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<Share>,
    /// Correlation of each draw with the one before; only with `share`. It makes a small share smaller, as in netem.
    #[serde(default, skip_serializing_if = "Share::is_none")]
    correlation: Share,
    /// Loss in bursts, in place of `share`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gilbert_elliott: Option<GilbertElliott>,
}

impl Kind for NetLose {
    fn about(&self) -> About<'_> {
        About::of_packets("lost", None, Trial::of(self.traffic(), self.expected(), EXCHANGES))
    }

    fn invalid(&self) -> Option<Invalid> {
        chosen(&self.traffic()).or_else(|| invalid_loss(self))
    }

    fn touches(&self) -> Touches {
        self.traffic().touches()
    }
}

impl NetLose {
    /// Returns the expected observation of a trial: the chance of an answer if each packet is lost independently of the others,
    /// otherwise no expectation.
    fn expected(&self) -> Expect {
        match self.share {
            Some(share) if self.correlation.is_none() => {
                // With `both`, the question and its answer may be lost.
                let ways = if self.direction == Direction::Both { 2 } else { 1 };
                Expect::Answers((1.0 - share.fraction()).powi(ways))
            }
            _ => Expect::Anything,
        }
    }
}

/// Checks that exactly one form of loss is given, and that it loses packets.
fn invalid_loss(lose: &NetLose) -> Option<Invalid> {
    match (lose.share, lose.gilbert_elliott) {
        (Some(_), Some(_)) => wrong(
            RefusalCode::TwoLosses,
            "loses both by `share` and by `gilbert_elliott`",
            "one of them: `share` loses each packet by chance, `gilbert_elliott` loses in bursts",
        ),
        (None, None) => wrong(
            RefusalCode::NoLoss,
            "does not say how many packets are lost",
            "for example share = \"5%\", or gilbert_elliott = { to_bad = \"1%\", to_good = \"25%\" }",
        ),
        (Some(share), None) => some(share),
        (None, Some(_)) if !lose.correlation.is_none() => wrong(
            RefusalCode::TwoLosses,
            "`correlation` has no meaning beside `gilbert_elliott`",
            "leave `correlation` out: `gilbert_elliott` has chances of its own",
        ),
        (None, Some(GilbertElliott { to_bad, in_bad, in_good, .. })) => {
            let loses_none = in_good.is_none() && (to_bad.is_none() || in_bad.is_none());
            if loses_none {
                wrong(
                    RefusalCode::NoShare,
                    "its `gilbert_elliott` loses no packet",
                    "`to_bad` and `in_bad` above 0%, or `in_good` above 0%",
                )
            } else {
                None
            }
        }
    }
}
