//! Proves that a host is clean, by comparing snapshots from before and after a run. Never changes the host.
//!
//! Leaves out values that change by themselves (counters, timers, handles), so that two snapshots of an untouched host are
//! equal. Each class of objects has an observer in a file of its name, which adds `class:name` → canonical value.

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
mod seen;
pub mod units;

pub use compare::{Difference, Other, Parties, compare, compare_among};
pub(crate) use iptables::program as legacy_program;
pub(crate) use qdiscs::kinds as qdisc_kinds;
pub use seen::SnapshotError;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::host::Host;

/// The state of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The boot in which it was taken.
    pub boot_id: String,
    /// `class:name` → canonical value, one part per line.
    pub seen: BTreeMap<String, String>,
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
