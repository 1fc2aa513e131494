//! The engines of faults that delay, lose, duplicate, damage, reorder or throttle packets.
//!
//! Parameters have the meaning that they have in netem (tc-netem(8)). Unlike a block, these faults are by default only on packets that the
//! host sends. So a delay is added once to a round trip, and a share of loss applies once.

use serde::{Deserialize, Serialize};

/// The engine that carries out a fault on packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// The kernel if it can do all that is asked, otherwise user space; iptables if nftables cannot be used. The plan names the engine and the
    /// reason.
    #[default]
    Auto,
    /// The kernel's netem and tbf behind nftables rules; refused if they cannot be used.
    Kernel,
    /// The agent, by a queue of packets (NFQUEUE).
    UserSpace,
    /// Chains of iptables. For faults that let packets through, the agent's queue is behind them.
    Iptables,
}

impl Engine {
    /// Maximum number of peers in iptables rules. Each peer is a rule, and each comparison of a packet with a rule takes time.
    pub const IPTABLES_PEERS: usize = 4_096;

    pub(super) fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}
