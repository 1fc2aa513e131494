//! The paths of a lab's files: certificates, agents' configurations, fleet.

use std::{fs, path::PathBuf};

use crate::{fleet::FleetSource, user::outside};

/// The name in the certificate with which drills are run on a lab.
pub const OPERATOR: &str = "lab-operator";

/// The name of the demo's lab. Each user can have one demo at a time, beside other labs.
pub(in crate::cli) const DEMO: &str = "demo";

/// Returns the folder of a lab's files.
pub fn folder(name: &str) -> PathBuf {
    let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    base.join(format!("firedrill-lab-{}-{name}", outside()))
}

/// Removes the files of a lab. Files that cannot be removed stay until the next lab of that name replaces them.
pub fn forget(name: &str) {
    let _ = fs::remove_dir_all(folder(name));
}

/// Returns the source of a lab's fleet.
pub(crate) fn fleet_of(name: &str) -> FleetSource {
    FleetSource::File(folder(name).join("fleet.toml"))
}
