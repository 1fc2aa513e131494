//! Reads a unit and its state. Never changes it.

use std::thread;

use super::{
    bus::{Bus, Properties, classify},
    mark::Mark,
};
use crate::{
    host::dbus::{DbusError, Value},
    service::manager::{Phase, ServiceError, State},
};

/// Loads a unit. Returns its properties, and its properties as a service (none for other kinds).
pub(super) fn load(bus: &mut Bus, id: &str) -> Result<(Properties, Properties), ServiceError> {
    let what = format!("load {id}");
    let failed = |error| classify(&what, error);
    let loaded = bus.manager("LoadUnit", &[id]).map_err(failed)?;
    let path = loaded.first().and_then(Value::text).unwrap_or_default();
    let unit = bus.properties(path, "Unit").map_err(failed)?;
    let service = if unit.text("Id").ends_with(".service") {
        bus.properties(path, "Service").map_err(failed)?
    } else {
        Properties::default()
    };
    Ok((unit, service))
}

/// Returns the state of a unit.
pub(super) fn state(bus: &mut Bus, id: &str) -> Result<State, ServiceError> {
    let (unit, service, job) = loop {
        let (unit, service) = load(bus, id)?;
        match unit.job() {
            None => break (unit, service, None),
            Some(path) => match bus.properties(&path, "Job") {
                Ok(job) => break (unit, service, Some(job.text("JobType"))),
                // The job ended between the two questions, so the first answer is outdated. Both are asked again.
                Err(DbusError::Refused { .. }) => thread::yield_now(),
                Err(error) => return Err(classify("look at a job", error)),
            },
        }
    };
    let load_state = unit.text("LoadState");
    let phase = phase(&unit.text("ActiveState"));
    if load_state == "not-found" && phase.is_down() {
        return Err(ServiceError::Unknown { service: id.to_owned(), looked: "systemd's units".into() });
    }
    let mark = Mark {
        run: unit.hex("InvocationID"),
        down_since: unit.number("InactiveEnterTimestampMonotonic").unwrap_or_default().to_string(),
        file: if load_state == "masked" { load_state } else { unit.text("UnitFileState") },
    };
    let main = service.number("MainPID").filter(|pid| *pid != 0).and_then(|pid| i32::try_from(pid).ok());
    let run = Some(mark.run.clone()).filter(|run| !run.is_empty() && !phase.is_down());
    let (wanted_up, settled) = (wanted_up(phase, job.as_deref()), job.is_none());
    Ok(State { phase, wanted_up, main, run, settled, mark: mark.text() })
}

/// Returns the phase for a unit's `ActiveState`.
pub(super) fn phase(active: &str) -> Phase {
    match active {
        "active" | "reloading" | "refreshing" => Phase::Up,
        "activating" => Phase::Starting,
        "failed" => Phase::Failed,
        "inactive" => Phase::Down,
        // `deactivating`, or `maintenance`, in which something is being cleaned up.
        _ => Phase::Stopping,
    }
}

/// Whether systemd wants a unit up. `job` is the type of its queued job, `None` if there is none.
pub(super) fn wanted_up(phase: Phase, job: Option<&str>) -> bool {
    match job {
        Some("stop") => false,
        Some(_) => true,
        None => matches!(phase, Phase::Up | Phase::Starting),
    }
}
