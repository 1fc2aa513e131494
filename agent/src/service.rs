//! Services, through the host's service managers. One file per manager; this module picks one.
//!
//! Never runs a program, and never starts a service by itself: only an undo does.

mod doctor;
mod manager;
mod pick;
mod runit;
mod systemd;

use std::collections::BTreeSet;

use firedrill_wire::fault::ServiceManager;

pub use doctor::findings;
pub use manager::{About, Driver, Manager, Phase, ServiceError, State, Unit};
pub use pick::pick;
pub(crate) use systemd::{Logging, logging};

use crate::host::{Host, process::Name};

/// Returns the driver of a manager; `None` for `auto`, which is not a manager. A new manager adds its line here.
const fn driver(which: ServiceManager) -> Option<Driver> {
    match which {
        ServiceManager::Auto => None,
        ServiceManager::Systemd => Some(systemd::DRIVER),
        ServiceManager::Runit => Some(runit::DRIVER),
    }
}

/// Returns the manager of that name; `None` if this host does not have it (and for `Auto`).
#[must_use]
pub fn manager(host: &Host, which: ServiceManager) -> Option<Box<dyn Manager>> {
    driver(which).and_then(|driver| (driver.here)(host))
}

/// Returns all managers that this host has.
pub(crate) fn managers(host: &Host) -> Vec<(ServiceManager, Box<dyn Manager>)> {
    ServiceManager::ALL.into_iter().filter_map(|which| Some((which, manager(host, which)?))).collect()
}

/// Returns the command by which people start a service.
pub(crate) fn start_by_hand(unit: &Unit) -> String {
    let command = driver(unit.manager).map_or("start", |driver| driver.start_by_hand);
    format!("{command} {}", unit.id)
}

/// Returns a service to which one of the processes belongs, of the services whose names are wanted; `None` if there is none.
///
/// # Errors
/// The services, or the processes of a service, could not be listed.
pub(crate) fn holder(
    host: &Host,
    processes: &BTreeSet<Name>,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Option<Unit>, ServiceError> {
    for (_, manager) in managers(host) {
        for (unit, ..) in manager.list()?.into_iter().filter(|(unit, ..)| wanted(unit.name())) {
            if manager.processes(&unit)?.iter().any(|name| processes.contains(name)) {
                return Ok(Some(unit));
            }
        }
    }
    Ok(None)
}
