//! The paths of a lab's files: certificates, agents' configurations, fleet.

use std::{fs, path::PathBuf};

use crate::{fleet::FleetSource, user::outside};

/// The person who runs drills on a lab.
pub const OPERATOR: &str = "lab-operator";

/// The name of the demo's lab: one demo at a time per user, beside other labs.
pub(in crate::cli) const DEMO: &str = "demo";

/// Returns the folder of a lab's files.
pub fn folder(name: &str) -> PathBuf {
    let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    base.join(format!("firedrill-lab-{}-{name}", outside()))
}

/// Removes the files; those that cannot be removed are replaced by the next lab of that name.
pub fn forget(name: &str) {
    let _ = fs::remove_dir_all(folder(name));
}

/// Returns the fleet of a lab.
pub(crate) fn fleet_of(name: &str) -> FleetSource {
    FleetSource::File(folder(name).join("fleet.toml"))
}
