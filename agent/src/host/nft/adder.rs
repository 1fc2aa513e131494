//! Adding ranges to sets of a table that is in force, from elsewhere in this process.

use std::sync::{PoisonError, Weak};

use super::{
    Owner,
    interval::Intervals,
    named,
    table::{self, Of},
    too_long,
    transact::transact,
};
use crate::host::netlink::NetlinkError;

/// Adds to the sets of one table and its twin. Does not keep them alive, and never makes what is not there.
#[derive(Debug)]
pub struct Adder {
    owner: Weak<Owner>,
    table: String,
}

impl Adder {
    pub(super) fn new(owner: Weak<Owner>, table: &str) -> Self {
        Self { owner, table: table.to_owned() }
    }

    /// Whether there is such a table still.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn is_there(&self) -> Result<bool, NetlinkError> {
        Ok(self.owner.upgrade().is_some() && !named(&self.table)?.is_empty())
    }

    /// Adds ranges to the sets of that name, of the table and its twin.
    ///
    /// # Errors
    /// What the kernel said; there is no such set.
    pub fn add(&self, set: &str, ranges: &Intervals) -> Result<(), NetlinkError> {
        let mut outcome = Ok(());
        let mut added = false;
        for of in Of::BOTH {
            let what = format!(
                "add {} ranges to {set} of nftables table {} {}",
                ranges.len(),
                of.word(),
                self.table
            );
            let requests = table::elements(of, &self.table, set, ranges).ok_or_else(|| too_long(&what))?;
            let Some(owner) = self.owner.upgrade() else { return Ok(()) };
            let Some(socket) = owner.get() else { return Ok(()) };
            let mut socket = socket.lock().unwrap_or_else(PoisonError::into_inner);
            match transact(&mut socket, &what, requests, true) {
                Ok(()) => added = true,
                // Only one of the two may ask for peers.
                Err(error) if error.errno() == Some(libc::ENOENT) => outcome = Err(error),
                Err(error) => return Err(error),
            }
        }
        if added { Ok(()) } else { outcome }
    }
}
