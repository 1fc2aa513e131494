//! Adds ranges to the sets of a table that is in force, from another thread of this process. Never makes a table or a set.

use std::sync::{PoisonError, Weak};

use firedrill_netlink::NetlinkError;
use ipnet::IpNet;

use super::{
    Owner,
    expr::Family,
    interval::Intervals,
    named,
    requests::too_long,
    table::{self, Of},
    transact::transact,
};
use crate::peer_set::Adds;

/// Adds ranges to the sets of one table and its twin. Does not keep the tables alive.
#[derive(Debug)]
pub struct Adder {
    owner: Weak<Owner>,
    table: String,
    /// Returns the name of the set of peers of a family.
    set: fn(Family) -> String,
}

impl Adds for Adder {
    fn is_there(&self) -> Result<bool, String> {
        let named = named(&self.table).map_err(|error| error.to_string())?;
        Ok(self.owner.upgrade().is_some() && !named.is_empty())
    }

    fn add(&self, networks: &[IpNet]) -> Result<(), String> {
        let mut outcome = Ok(());
        for (family, ranges) in Intervals::networks(networks.iter().copied()) {
            // The ranges of one family are added even if the ranges of the other cannot be added.
            if let Err(error) = self.ranges(&(self.set)(family), &ranges) {
                outcome = Err(error.to_string());
            }
        }
        outcome
    }
}

impl Adder {
    pub(super) fn new(owner: Weak<Owner>, table: &str, set: fn(Family) -> String) -> Self {
        Self { owner, table: table.to_owned(), set }
    }

    /// Adds ranges to the sets with this name in the table and its twin.
    ///
    /// # Errors
    /// The kernel refused, or there is no such set.
    pub fn ranges(&self, set: &str, ranges: &Intervals) -> Result<(), NetlinkError> {
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
                // Only one of the two tables may have this set.
                Err(error) if error.errno() == Some(libc::ENOENT) => outcome = Err(error),
                Err(error) => return Err(error),
            }
        }
        if added { Ok(()) } else { outcome }
    }
}
