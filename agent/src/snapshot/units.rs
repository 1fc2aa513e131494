//! Services by manager and name: their present state, and the state that their manager wants. Never changes a service.

use std::collections::BTreeMap;

use super::seen::SnapshotError;
use crate::{host::Host, service};

/// Adds a key `unit:<manager>/<name>` for each service: all of runit's, and those of systemd's that are not inactive.
///
/// # Errors
/// A manager of this host could not be asked.
pub fn observe(host: &Host, into: &mut BTreeMap<String, String>) -> Result<(), SnapshotError> {
    for (which, manager) in service::managers(host) {
        let services = manager.list().map_err(|error| SnapshotError::Unreadable {
            what: format!("the services of {which}"),
            why: error.to_string(),
        })?;
        for (unit, phase, wanted_up) in services {
            let wanted = if wanted_up { "up" } else { "down" };
            into.insert(unit.key(), format!("{}, wanted {wanted}", phase.word()));
        }
    }
    Ok(())
}
