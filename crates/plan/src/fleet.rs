//! The fleet: the hosts, their labels, and the connections to their agents; from a TOML file, or from a command that
//! prints JSON.
//!
//! Only describes hosts. `plan` decides which hosts a drill touches.

mod check_service;
mod command;
mod file;
mod hosts;
mod read;
mod salvage;
mod service;
mod source;

pub use command::split as split_command;
pub use file::{Defaults, FleetFile, HostFile};
pub use hosts::{Fleet, values_of};
pub use read::KEYS;
pub use salvage::Wrong;
pub use service::{GivenFile, ReadyFile, ServiceFile, ServiceUser, StopFile, StopSignal, http_parts};
pub use source::FleetSource;

/// Returns the JSON Schema of fleet files (draft 2020-12).
#[must_use]
pub fn schema() -> serde_json::Value {
    crate::scenario::titled_schema::<FleetFile>("Firedrill fleet")
}

/// Whether a file is a fleet: it has tables that only fleets have, and none that only scenarios have.
#[must_use]
pub fn is_fleet(file: &std::path::Path) -> bool {
    let keys = crate::typed::keys(file, command::MAX_BYTES);
    let has = |key: &&str| keys.iter().any(|found| found == key);
    read::KEYS.iter().filter(|key| **key != "schema").any(has)
        && !crate::scenario::KEYS.iter().filter(|key| **key != "schema").any(has)
}

#[cfg(test)]
mod tests;
