//! Which machine and which boot this is. The boot alone decides what is to be put back: the kernel draws its id, while that of
//! a machine is a file that people and clones change.

use serde::{Deserialize, Serialize};

/// A machine and one of its boots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `/etc/machine-id`, for people; `none` where there is no such file.
    pub machine_id: String,
    /// The kernel's boot id.
    pub boot_id: String,
}

impl Identity {
    /// Of the machine that this runs on.
    #[must_use]
    pub fn here() -> Self {
        let machine_id = ["/etc/machine-id", "/var/lib/dbus/machine-id"]
            .into_iter()
            .filter_map(|file| std::fs::read_to_string(file).ok())
            .map(|text| text.trim().to_owned())
            .find(|text| !text.is_empty())
            .unwrap_or_else(|| "none".to_owned());
        Self { machine_id, boot_id: firedrill_probe::clock::boot_id() }
    }
}
