//! The interface to a store that takes numbered records and gives them back. Knows no store, and never judges.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

pub use crate::outcome::{Cause, Failure};

/// One record that is to be written. No other run, probe, vantage or number has its key. Its value is the time at which the write was due,
/// in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its key: the prefix of the vantage, and the number.
    pub key: &'a str,
    /// Its number.
    pub seq: u64,
    /// Its value.
    pub value: u64,
    /// The number of earlier attempts to write it.
    pub attempt: u8,
}

/// The outcome of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The store said that it has the record.
    Acked,
    /// The store certainly does not have the record by this write.
    Refused(Cause),
    /// The store may have the record or not.
    Unknown(Cause),
}

/// One record that the store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: u64,
}

/// Makes a store anew, without connections: those belong to the runtime that opened them.
pub type MakeStore = Arc<dyn Fn() -> Box<dyn Store> + Send + Sync>;

/// A store that takes numbered records and gives them back.
pub trait Store: Send + Sync {
    /// Makes what records need (a table, a queue), if it is not there. Called once before the first write.
    fn prepare(&self, until: Instant) -> BoxFuture<'_, Result<(), Failure>>;

    /// Writes one record. The caller drops the future when the time is up.
    fn write<'a>(&'a self, record: Record<'a>, until: Instant) -> BoxFuture<'a, Written>;

    /// Gives all records whose key begins with the prefix, from the store's authority, page by page, duplicates included. An error
    /// means that it is not known which records are there.
    fn read_back<'a>(
        &'a self,
        prefix: &'a str,
        until: Instant,
        each: &'a mut (dyn FnMut(Found) + Send),
    ) -> BoxFuture<'a, Result<(), Failure>>;
}
