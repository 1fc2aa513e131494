//! The paths of a lab's files: certificates, agents' configurations, fleet.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};

use crate::fleet::FleetSource;

/// The person who runs drills on a lab.
pub const OPERATOR: &str = "lab-operator";

/// Returns the folder of a lab's files.
pub fn folder(name: &str) -> PathBuf {
    let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    base.join(format!("firedrill-lab-{}-{name}", owner()))
}

/// Removes the files; those that cannot be removed are replaced by the next lab of that name.
pub fn forget(name: &str) {
    let _ = fs::remove_dir_all(folder(name));
}

/// Returns the user who owns new files of this process.
fn owner() -> u32 {
    fs::metadata("/proc/self").map_or(0, |own| own.uid())
}

/// Returns the fleet of a lab.
pub(crate) fn fleet_of(name: &str) -> FleetSource {
    FleetSource::File(folder(name).join("fleet.toml"))
}
