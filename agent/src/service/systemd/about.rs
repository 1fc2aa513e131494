//! Finds the consequences of stopping a unit. Reads only.

use std::collections::BTreeSet;

use firedrill_wire::fault::ServiceManager;

use super::{
    bus::{Bus, Properties},
    unit::{load, phase},
};
use crate::service::manager::{About, ServiceError, Unit};

/// Maximum number of units that are examined.
const DEPENDENTS: usize = 64;
/// The units through which the agent reaches systemd.
const BUSES: [&str; 3] = ["dbus.service", "dbus-broker.service", "dbus.socket"];

/// Returns the facts that people should know before a unit is stopped.
pub(super) fn about(bus: &mut Bus, asked: &Unit) -> Result<About, ServiceError> {
    let (unit, service) = load(bus, &asked.id)?;
    let mut about = About { not_stoppable: not_stoppable(&unit), ..About::default() };
    if service.flag("RemainAfterExit") || service.text("Type") == "oneshot" {
        about.notes.push(format!(
            "{} is a {} service: starting it runs its commands again",
            asked.id,
            service.text("Type")
        ));
    }
    if matches!(service.text("KillMode").as_str(), "process" | "none") {
        about.notes.push(format!(
            "{} has KillMode={}: some of its processes may live on when it is stopped",
            asked.id,
            service.text("KillMode")
        ));
    }
    for trigger in unit.texts("TriggeredBy") {
        if !phase(&load(bus, &trigger)?.0.text("ActiveState")).is_down() {
            about.notes.push(format!("{trigger} is active and may start {} again by itself", asked.id));
        }
    }
    let mut seen = BTreeSet::from([asked.id.clone()]);
    let mut queue = falls_with(&unit);
    while let Some(id) = queue.pop() {
        if !seen.insert(id.clone()) || seen.len() > DEPENDENTS {
            continue;
        }
        let properties = load(bus, &id)?.0;
        if phase(&properties.text("ActiveState")).is_down() {
            continue;
        }
        if let Some(why) = not_stoppable(&properties) {
            about.not_stoppable.get_or_insert(format!("{id} goes down with it, and {why}"));
        }
        queue.extend(falls_with(&properties));
        about.dependents.push(Unit { manager: ServiceManager::Systemd, id });
    }
    Ok(about)
}

/// Returns the units that systemd stops together with this one.
fn falls_with(unit: &Properties) -> Vec<String> {
    ["RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf", "PropagatesStopTo"]
        .iter()
        .flat_map(|key| unit.texts(key))
        .collect()
}

/// Returns the reason why a unit cannot be stopped and started again; `None` if it can.
fn not_stoppable(unit: &Properties) -> Option<String> {
    let id = unit.text("Id");
    let load = unit.text("LoadState");
    if BUSES.contains(&id.as_str()) {
        Some("the agent reaches systemd through it".into())
    } else if unit.flag("Transient") {
        Some("it is a transient unit, which is forgotten once it is stopped".into())
    } else if load != "loaded" {
        Some(format!("its unit file is {load}, so it could not be started again"))
    } else if unit.flag("RefuseManualStop") || unit.flag("RefuseManualStart") {
        Some(
            "its unit file refuses to be stopped or started by hand (RefuseManualStop, RefuseManualStart)"
                .into(),
        )
    } else if !unit.flag("CanStop") || !unit.flag("CanStart") {
        Some("systemd says that it cannot be stopped and started".into())
    } else {
        None
    }
}
