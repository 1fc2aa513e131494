//! Proves that a host is clean, by comparing snapshots from before and after a run.
//!
//! Reads only. Leaves out values that change by themselves (counters, timers, handles), so that an untouched host
//! equals itself. Each observer has a file and adds `class:name` → canonical value.

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

/// A longer value, in bytes, is replaced by its digest.
const LONGEST: usize = 4096;

/// The state of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The boot in which it was taken.
    pub boot_id: String,
    /// `class:name` → canonical value, one part per line.
    pub seen: BTreeMap<String, String>,
}

/// The host's state could not be read, so nothing can be proven.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The kernel could not list something.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// Something else could not be read.
    #[error("could not read {what}: {why}")]
    Unreadable {
        /// The path or name.
        what: String,
        /// The error.
        why: String,
    },
}

impl Snapshot {
    /// Takes a snapshot.
    ///
    /// # Errors
    /// Something could not be read, so the snapshot would prove nothing.
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

/// Adds a value. If the key exists, a number is appended, in the kernel's order.
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
