//! The engines that treat packets of faults that let traffic through, but not as it was: late, thinned out, doubled, damaged, out of
//! order, or slowly.
//!
//! Meanings are netem's (tc-netem(8)). Unlike a block they go one way unless told otherwise: what this host sends. So
//! a delay is added once to a round trip, and a share of loss is met once.

use serde::{Deserialize, Serialize};

/// The engine that treats packets.
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
