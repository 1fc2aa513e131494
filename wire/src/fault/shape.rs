//! Faults that let traffic through, but not as it was: late, thinned out, doubled, damaged, out of order, or slowly.
//!
//! Meanings are netem's (tc-netem(8)). Unlike a block they go one way unless told otherwise: what this host sends. So
//! a delay is added once to a round trip, and a share of loss is met once.

use serde::{Deserialize, Serialize};

use super::{net::Direction, traffic::on_traffic};
use crate::{BitRate, ByteSize, Share, Span};

/// How delays scatter around their mean.
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

/// Who treats the packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// The kernel where it can do all that is asked, else user space, and iptables where nftables cannot be used; the plan
    /// says which, and why.
    #[default]
    Auto,
    /// The kernel's own netem and tbf behind nftables rules, or a refusal.
    Kernel,
    /// The agent, by a queue of packets (NFQUEUE).
    UserSpace,
    /// Chains of our own, by iptables; where packets are let through, the agent's queue behind them.
    Iptables,
}

impl Engine {
    /// Maximum number of peers in iptables rules. Each peer is a rule, and a packet pays for each rule that it is compared with.
    pub const IPTABLES_PEERS: usize = 4_096;

    pub(super) fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

fn no_time(span: &Span) -> bool {
    span.is_zero()
}

/// Loss in bursts (Gilbert-Elliott): a good and a bad state, and at each packet a chance of passing to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GilbertElliott {
    /// The chance of passing from good to bad, at each packet.
    pub to_bad: Share,
    /// The chance of passing from bad to good, at each packet; a burst is 1 / `to_good` packets long on average.
    pub to_good: Share,
    /// How many packets get lost in the bad state.
    #[serde(default = "GilbertElliott::default_in_bad")]
    pub in_bad: Share,
    /// How many packets get lost in the good state.
    #[serde(default)]
    pub in_good: Share,
}

impl GilbertElliott {
    const fn default_in_bad() -> Share {
        Share::ALL
    }
}

on_traffic! {
    /// `net-slow`: delay packets. The control path, SSH, loopback, neighbour discovery, DHCP and cloud metadata are never
    /// touched.
    NetSlow, "Direction::outward" => Direction::Out, |_: &Self| None;
    /// The mean delay of a packet, each way that `direction` names.
    delay: Span,
    /// How much delays scatter: half the width, or one sigma (see `distribution`).
    #[serde(default, skip_serializing_if = "no_time")]
    jitter: Span,
    /// How much each delay depends on the one before.
    #[serde(default, skip_serializing_if = "Share::is_none")]
    correlation: Share,
    /// How delays scatter.
    #[serde(default, skip_serializing_if = "Distribution::is_uniform")]
    distribution: Distribution,
    /// Who treats the packets.
    #[serde(default, skip_serializing_if = "Engine::is_auto")]
    engine: Engine,
}

on_traffic! {
    /// `net-lose`: lose some packets, by chance (`share`) or in bursts (`gilbert_elliott`). The control path, SSH, loopback,
    /// neighbour discovery, DHCP and cloud metadata are never touched.
    NetLose, "Direction::outward" => Direction::Out, |_: &Self| None;
    /// How many packets get lost, each by chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<Share>,
    /// How much each loss depends on the one before; only with `share`.
    #[serde(default, skip_serializing_if = "Share::is_none")]
    correlation: Share,
    /// Loss in bursts, in place of `share`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gilbert_elliott: Option<GilbertElliott>,
    /// Who treats the packets.
    #[serde(default, skip_serializing_if = "Engine::is_auto")]
    engine: Engine,
}

on_traffic! {
    /// `net-duplicate`: send some packets twice. The control path, SSH, loopback, neighbour discovery, DHCP and cloud
    /// metadata are never touched.
    NetDuplicate, "Direction::outward" => Direction::Out, |_: &Self| None;
    /// How many packets come twice.
    share: Share,
    /// How much each draw depends on the one before.
    #[serde(default, skip_serializing_if = "Share::is_none")]
    correlation: Share,
    /// Who treats the packets.
    #[serde(default, skip_serializing_if = "Engine::is_auto")]
    engine: Engine,
}

on_traffic! {
    /// `net-corrupt`: flip one bit in some packets, so that the receiver's checksum finds them. The control path, SSH,
    /// loopback, neighbour discovery, DHCP and cloud metadata are never touched.
    NetCorrupt, "Direction::outward" => Direction::Out, |_: &Self| None;
    /// How many packets are damaged.
    share: Share,
    /// How much each draw depends on the one before.
    #[serde(default, skip_serializing_if = "Share::is_none")]
    correlation: Share,
    /// Who treats the packets.
    #[serde(default, skip_serializing_if = "Engine::is_auto")]
    engine: Engine,
}

on_traffic! {
    /// `net-reorder`: delay packets, but let some overtake: those go at once. The control path, SSH, loopback, neighbour
    /// discovery, DHCP and cloud metadata are never touched.
    NetReorder, "Direction::outward" => Direction::Out, |_: &Self| None;
    /// How long the others are delayed; only what waits can be overtaken.
    delay: Span,
    /// How many packets overtake.
    share: Share,
    /// How much each draw depends on the one before.
    #[serde(default, skip_serializing_if = "Share::is_none")]
    correlation: Share,
    /// Only every so-manieth packet may overtake; each unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gap: Option<u32>,
    /// Who treats the packets.
    #[serde(default, skip_serializing_if = "Engine::is_auto")]
    engine: Engine,
}

on_traffic! {
    /// `net-throttle`: let only so much through a second; the rest waits. The control path, SSH, loopback, neighbour
    /// discovery, DHCP and cloud metadata are never touched.
    NetThrottle, "Direction::outward" => Direction::Out, |_: &Self| None;
    /// How much, all chosen traffic together.
    rate: BitRate,
    /// So much may go at once after a pause; 32kB unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    burst: Option<ByteSize>,
    /// Who treats the packets.
    #[serde(default, skip_serializing_if = "Engine::is_auto")]
    engine: Engine,
}

impl NetThrottle {
    /// The burst unless one is given.
    pub const BURST: ByteSize = ByteSize(32_000);
}
