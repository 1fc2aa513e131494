//! The types that a queue's loop shares with its callers.

use std::{
    os::fd::OwnedFd,
    sync::{Mutex, atomic::AtomicBool},
};

/// Inspects a packet, from its IP header on.
pub type Look = Box<dyn FnMut(&[u8]) -> Looked + Send>;

/// The result of an inspection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// It is not chosen, and passes at once.
    Other,
    /// It is chosen, and impaired.
    Meant,
    /// It is chosen and impaired, and continues with these bytes instead of its own.
    Falsified(Vec<u8>),
}

/// The counts of a queue's packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Received.
    pub seen: u64,
    /// Passed on.
    pub passed: u64,
    /// Lost on purpose.
    pub lost: u64,
    /// Duplicated on purpose.
    pub duplicated: u64,
    /// Corrupted on purpose.
    pub corrupted: u64,
    /// Falsified on purpose: [`Look`] gave them other contents.
    pub falsified: u64,
    /// Inspected and not chosen; they are counted nowhere else.
    pub others: u64,
    /// Reordered on purpose: sent ahead.
    pub reordered: u64,
    /// Dropped because too much was held, here or in the kernel.
    pub overflowed: u64,
    /// Not received or not sent because of an error, which is no part of the fault.
    pub failed: u64,
    /// Held now.
    pub held: u64,
    /// The sum of the delays that were added to packets that were passed on, in microseconds.
    pub delay_us: u64,
}

/// The state that a queue's loop shares with its callers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) counts: Mutex<Counts>,
    /// Whether the loop has to end.
    pub(super) stop: AtomicBool,
    /// An eventfd. Writing to it wakes the loop.
    pub(super) wake: OwnedFd,
}

/// Converts a number to 64 bits.
pub(super) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
