//! Proof of a clean host: what it looks like before a run, and what differs afterwards.
//!
//! Reads only. Leaves out what changes by itself (counters, timers, handles), so that an untouched host is equal to
//! itself. One observer a file, each filling in `class:name` → canonical value.

mod addresses;
mod compare;
mod filters;
mod iptables;
mod links;
mod mask;
mod nft;
pub mod processes;
mod qdiscs;
mod route_dump;
mod routes;
mod rules;
pub mod units;

pub use compare::{Difference, Other, Parties, compare, compare_among};
pub(crate) use iptables::program as legacy_program;
pub(crate) use qdiscs::kinds as qdisc_kinds;

use std::collections::BTreeMap;

use firedrill_netlink::NetlinkError;
use serde::{Deserialize, Serialize};

use crate::host::Host;

/// A value longer than this is kept as its digest.
const LONGEST: usize = 4096;

/// What a host looked like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// In which boot.
    pub boot_id: String,
    /// `class:name` → canonical value, one line a part.
    pub seen: BTreeMap<String, String>,
}

/// The host could not be looked at, so nothing can be proven.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The kernel did not say.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// Something else could not be read.
    #[error("could not read {what}: {why}")]
    Unreadable {
        /// What, by path or name.
        what: String,
        /// What went wrong.
        why: String,
    },
}

impl Snapshot {
    /// Looks at everything.
    ///
    /// # Errors
    /// One thing could not be read: half a proof is none.
    pub fn take(host: &Host) -> Result<Self, SnapshotError> {
        let mut seen = BTreeMap::new();
        for observe in [
            nft::observe,
            iptables::observe,
            links::observe,
            addresses::observe,
            routes::observe,
            rules::observe,
            qdiscs::observe,
            filters::observe,
            units::observe,
            processes::observe,
        ] {
            observe(host, &mut seen)?;
        }
        Ok(Self { boot_id: firedrill_probe::clock::boot_id(), seen })
    }
}

/// Puts a value in; a key that is there already gets a number, in the kernel's order.
fn put(into: &mut BTreeMap<String, String>, key: &str, value: String) {
    let value = if value.len() > LONGEST { digest(&value) } else { value };
    let mut free = key.to_owned();
    let mut number = 1;
    while into.contains_key(&free) {
        number += 1;
        free = format!("{key} #{number}");
    }
    into.insert(free, value);
}

fn digest(value: &str) -> String {
    use ring::digest::{SHA256, digest};
    let sum: String =
        digest(&SHA256, value.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} lines, sha256 {sum}", value.lines().count())
}
