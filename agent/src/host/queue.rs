//! Packets in user space: what a kernel without netem cannot do, done by this process from an NFQUEUE.
//!
//! Decides nothing about which packets: rules of an nftables table send them here. Never a reason for a packet to be
//! held longer than asked: when this process dies the queue is bypassed, and when it is stopped the gate that it keeps
//! open closes.

use std::{io, time::Duration};

use super::impair::Impair;

/// So many queues a host can have at once; their numbers are [`FIRST`] and those that follow.
pub const MOST: u16 = 64;
/// The first queue's number.
pub const FIRST: u16 = 0xfd00;
/// Packets that were sent again carry this tag plus their queue's number minus [`FIRST`] as `SO_PRIORITY`
/// (`meta priority`), so that the rules which sent them here let them pass.
pub const TAG: u32 = 0x00fd_0000;

/// What a queue is to do.
pub struct Spec {
    /// Its number, from [`FIRST`] on.
    pub number: u16,
    /// What becomes of its packets.
    pub impair: Impair,
    /// Where chance begins, so that a run can be repeated.
    pub seed: u64,
    /// Bytes of packets that may be held; more are dropped and counted.
    pub memory: usize,
    /// Called so often from the queue's own loop, as long as it keeps up.
    pub every: Duration,
    /// Keeps the gate open.
    pub alive: Box<dyn FnMut() + Send>,
}

/// What became of a queue's packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// That came.
    pub seen: u64,
    /// That were passed on.
    pub passed: u64,
    /// Lost on purpose.
    pub lost: u64,
    /// Sent twice on purpose.
    pub duplicated: u64,
    /// Changed on purpose.
    pub corrupted: u64,
    /// Sent ahead on purpose.
    pub reordered: u64,
    /// Dropped because too much was held, here or in the kernel.
    pub overflowed: u64,
    /// That could not be received or sent on: an error that is no part of the fault.
    pub failed: u64,
    /// Held now.
    pub held: u64,
    /// The sum of the delays that were added, in microseconds, of those passed on.
    pub delay_us: u64,
}

/// The queues of this process.
#[derive(Debug, Default)]
pub struct Queues(());

impl Queues {
    /// Starts a queue. It is there and serves when this comes back.
    ///
    /// # Errors
    /// The number is taken, or the kernel has no queues.
    pub fn start(&self, _spec: Spec) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Ends a queue: what it holds is sent at once. That there is none is success.
    pub fn stop(&self, _number: u16) {}

    /// What it did; none where it does not run (it died, or never began).
    #[must_use]
    pub fn counts(&self, _number: u16) -> Option<Counts> {
        None
    }
}
