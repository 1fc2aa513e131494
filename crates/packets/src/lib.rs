//! Impairs packets by netem's formulas: delays, loses, duplicates, corrupts, reorders and throttles them. Has the kernel's
//! queues by which a process does that where the kernel has no netem.
//!
//! Does not choose packets: firewall rules do. Knows no fault, no host and no journal. A crate of its own, so that it
//! is optimised in every build that handles real traffic.

pub mod impair;
pub mod queue;

/// The hook at which packets are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// Packets for this host.
    Input,
    /// Packets that are forwarded: containers, guests, routed traffic.
    Forward,
    /// Packets that this host sends.
    Output,
    /// Packets that some interfaces received, before everything else; only in nf_tables' family `netdev`.
    Ingress,
    /// Packets that some interfaces will send, after everything but their qdisc; only in family `netdev`.
    Egress,
}
