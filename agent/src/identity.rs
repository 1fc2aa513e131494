//! Identifies the machine and its boot. Only the boot decides which effects have to be undone, because the kernel generates
//! its id. A machine's id is a file that people and clones change.

use serde::{Deserialize, Serialize};

/// A machine and one of its boots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The content of `/etc/machine-id`, for people; `none` if there is no such file.
    pub machine_id: String,
    /// The kernel's boot id.
    pub boot_id: String,
}

impl Identity {
    /// Returns the identity of this machine.
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
