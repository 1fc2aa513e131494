//! What becomes of packets on their way (late, lost, doubled, damaged, overtaken, slowed down), by netem's formulas, and the
//! queues through which a process does that to them where a kernel has no netem.
//!
//! Decides nothing about which packets: firewall rules choose them. Knows no fault, no host and no journal. It is a crate
//! of its own so that it is optimised in every build that handles real traffic.

pub mod impair;
pub mod queue;

/// Where in the kernel packets are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// Packets for this host.
    Input,
    /// Packets that pass through: containers, guests, routed traffic.
    Forward,
    /// Packets that this host sends.
    Output,
    /// Packets that some interfaces got, before anything else; only in nf_tables' family `netdev`.
    Ingress,
    /// Packets that some interfaces are to send, after everything but their qdisc; only in family `netdev`.
    Egress,
}
