//! systemd, over D-Bus.
//!
//! Only services are found by name; units of other kinds are named only if they go down together with a service. Jobs are queued with
//! mode `replace`, as `systemctl` does. Never runs a program.
//!
//! The time at which a unit last went down, and the id of its last run, show whether somebody else acted on a unit that
//! the agent stopped. systemd forgets both when it unloads the unit, so it is asked to keep the unit in memory for as long as
//! the agent's [`Host`] lives. If it has forgotten them (the agent died, the bus was restarted), only disabling and masking
//! can be detected, and otherwise the unit is started. A second `systemctl stop` of a stopped unit leaves no trace at all.

mod about;
mod bus;
mod logging;
mod mark;
mod unit;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use firedrill_wire::fault::{ServiceManager, Signal};

pub(crate) use self::logging::{Logging, logging};
use self::{
    about::about,
    bus::{Bus, Pin, ask, classify},
    mark::{Mark, acted_since},
    unit::{load, phase, state, wanted_up},
};
use super::manager::{About, Driver, Manager, Phase, ServiceError, State, Unit};
use crate::{
    host::{
        Host,
        dbus::Value,
        process::{Name, Stat},
    },
    mutex::lock,
};

/// The interval at which a unit is read while a job runs.
const LOOK: Duration = Duration::from_millis(30);
/// The time limit of calls that wait for no job.
const QUESTION: Duration = Duration::from_secs(10);

/// The units that systemd keeps in memory for the agent.
#[derive(Debug, Default)]
struct Pins(Mutex<BTreeMap<String, Pin>>);

/// The driver of systemd, for hosts that were booted with it.
pub(super) const DRIVER: Driver = Driver {
    here: |host| Systemd::here(host).map(|systemd| Box::new(systemd) as Box<dyn Manager>),
    start_by_hand: "systemctl start",
};

/// The systemd of this host.
#[derive(Debug, Default)]
pub(super) struct Systemd(Arc<Pins>);

impl Systemd {
    /// Returns systemd if this host was booted with it.
    fn here(host: &Host) -> Option<Self> {
        Path::new("/run/systemd/system").is_dir().then(|| Self(host.kept.of()))
    }

    fn pins(&self) -> MutexGuard<'_, BTreeMap<String, Pin>> {
        lock(&self.0.0)
    }
}

impl Manager for Systemd {
    fn find(&self, service: &str) -> Result<Option<Unit>, ServiceError> {
        let name = unit_name(service)?;
        ask(QUESTION, |bus| {
            let unit = load(bus, &name)?.0;
            // An alias resolves to its unit.
            let known = unit.text("LoadState") != "not-found";
            Ok(known.then(|| Unit { manager: ServiceManager::Systemd, id: unit.text("Id") }))
        })
    }

    fn state(&self, unit: &Unit) -> Result<State, ServiceError> {
        ask(QUESTION, |bus| state(bus, &unit.id))
    }

    fn about(&self, unit: &Unit) -> Result<About, ServiceError> {
        ask(QUESTION, |bus| about(bus, unit))
    }

    fn comeback(&self, unit: &Unit, signal: Signal) -> Result<String, ServiceError> {
        ask(QUESTION, |bus| {
            let service = load(bus, &unit.id)?.1;
            let restart = service.text("Restart");
            let name = unit.name();
            Ok(if restarts(&restart, signal) {
                let pause = Duration::from_micros(service.number("RestartUSec").unwrap_or_default());
                let pause = humantime::format_duration(pause);
                format!(
                    "systemd starts {name} again after {pause} (Restart={restart}) if it dies of {signal}"
                )
            } else {
                format!(
                    "systemd leaves {name} down (Restart={restart}) if it dies of {signal}, and so does Firedrill"
                )
            })
        })
    }

    fn processes(&self, unit: &Unit) -> Result<Vec<Name>, ServiceError> {
        let what = format!("list the processes of {}", unit.id);
        let found = ask(QUESTION, |bus| {
            // systemd does not know the processes of a unit that is not loaded, possibly because it is down.
            if load(bus, &unit.id)?.1.text("ControlGroup").is_empty() {
                return Ok(Vec::new());
            }
            bus.manager("GetUnitProcesses", &[&unit.id]).map_err(|error| classify(&what, error))
        })?;
        let mut names = BTreeSet::new();
        // Each item is a control group, a process id and a command line.
        for process in found.first().map(Value::parts).unwrap_or_default() {
            let pid = process.parts().get(1).and_then(Value::unsigned);
            let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) else { continue };
            let stat = Stat::read(pid)
                .map_err(|error| ServiceError::Failed { what: what.clone(), why: error.to_string() })?;
            names.extend(stat.filter(|stat| !stat.is_dead()).map(|stat| stat.name));
        }
        Ok(names.into_iter().collect())
    }

    fn cgroup(&self, unit: &Unit) -> Result<Option<String>, ServiceError> {
        ask(QUESTION, |bus| {
            let path = load(bus, &unit.id)?.1.text("ControlGroup");
            Ok((!path.is_empty()).then_some(path))
        })
    }

    fn stop(
        &self,
        unit: &Unit,
        at_most: Duration,
        called_off: &dyn Fn() -> bool,
    ) -> Result<State, ServiceError> {
        ask(at_most, |bus| {
            let what = format!("stop {}", unit.id);
            bus.manager("StopUnit", &[&unit.id, "replace"]).map_err(|error| classify(&what, error))?;
            until(bus, unit, "stopping", at_most, |state| {
                let down = state.phase.is_down() && !state.wanted_up;
                if !down && called_off() {
                    return Err(ServiceError::stop_called_off(unit, state));
                }
                Ok(down)
            })
        })
    }

    fn start(&self, unit: &Unit, at_most: Duration, old_run: Option<&str>) -> Result<State, ServiceError> {
        ask(at_most, |bus| {
            let what = format!("start {}", unit.id);
            let failed = |error| classify(&what, error);
            bus.manager("StartUnit", &[&unit.id, "replace"]).map_err(failed)?;
            let state = started(bus, unit, at_most, old_run)?;
            if state.is_back(old_run) {
                return Ok(state);
            }
            // The start limit must not keep the service down: the limit is meant for crashes.
            if load(bus, &unit.id)?.1.text("Result") == "start-limit-hit" {
                bus.manager("ResetFailedUnit", &[&unit.id]).map_err(failed)?;
                bus.manager("StartUnit", &[&unit.id, "replace"]).map_err(failed)?;
                let state = started(bus, unit, at_most, old_run)?;
                if state.is_back(old_run) {
                    return Ok(state);
                }
            }
            let result = load(bus, &unit.id)?.1.text("Result");
            let why = format!("it did not stay up (result `{result}`); see its log");
            Err(ServiceError::Failed { what: what.clone(), why })
        })
    }

    fn restart(&self, unit: &Unit, at_most: Duration) -> Result<State, ServiceError> {
        ask(at_most, |bus| {
            let before = state(bus, &unit.id)?;
            let what = format!("restart {}", unit.id);
            bus.manager("RestartUnit", &[&unit.id, "replace"]).map_err(|error| classify(&what, error))?;
            let run = Mark::read(&before.mark).run;
            until(bus, unit, "restarting", at_most, |state| {
                Ok(state.main != before.main || Mark::read(&state.mark).run != run)
            })
        })
    }

    fn needs(&self, unit: &Unit) -> Result<Vec<Unit>, ServiceError> {
        let ids = ask(QUESTION, |bus| {
            let unit = load(bus, &unit.id)?.0;
            Ok(["Requires", "Requisite", "BindsTo"]
                .iter()
                .flat_map(|key| unit.texts(key))
                .collect::<Vec<_>>())
        })?;
        Ok(ids.into_iter().map(|id| Unit { manager: ServiceManager::Systemd, id }).collect())
    }

    fn remember(&self, unit: &Unit) -> Result<(), ServiceError> {
        let pin = Pin::new(&unit.id)?;
        self.pins().insert(unit.id.clone(), pin);
        Ok(())
    }

    fn forget(&self, unit: &Unit) {
        self.pins().remove(&unit.id);
    }

    fn acted_since(&self, mark: &str, now: &State) -> Option<String> {
        acted_since(mark, now)
    }

    /// A start that is still queued can make another run, which may fail. So only the unit file shows the acts of others.
    fn mark_while_starting(&self, mark: &str) -> String {
        Mark::read(mark).of_any_run().text()
    }

    fn list(&self) -> Result<Vec<(Unit, Phase, bool)>, ServiceError> {
        ask(QUESTION, |bus| {
            let units = bus.manager("ListUnits", &[]).map_err(|error| classify("list units", error))?;
            Ok(units.first().map(Value::parts).unwrap_or_default().iter().filter_map(listed).collect())
        })
    }

    fn looked(&self) -> String {
        "systemd's units".to_owned()
    }
}

/// Parses a service in `ListUnits`: name, description, load state, active state, sub-state, followed unit, path, job's
/// number, job's type, job's path. `None` for other kinds of units, and for stopped ones, which systemd may forget at
/// any time.
fn listed(unit: &Value) -> Option<(Unit, Phase, bool)> {
    let [id, _, _, active, _, _, _, job, job_type, ..] = unit.parts() else { return None };
    let (id, active) = (id.text()?, active.text()?);
    if !id.ends_with(".service") || active == "inactive" {
        return None;
    }
    let phase = phase(active);
    let job = job_type.text().filter(|_| job.unsigned() != Some(0));
    Some((Unit { manager: ServiceManager::Systemd, id: id.to_owned() }, phase, wanted_up(phase, job)))
}

/// Waits until `wanted` is true of the unit's state, and returns the state. `what` is the operation, for the error.
fn until(
    bus: &mut Bus,
    unit: &Unit,
    what: &str,
    at_most: Duration,
    wanted: impl Fn(&State) -> Result<bool, ServiceError>,
) -> Result<State, ServiceError> {
    let end = Instant::now() + at_most;
    loop {
        let now = state(bus, &unit.id)?;
        if wanted(&now)? {
            return Ok(now);
        }
        if Instant::now() >= end {
            let what = format!("{what} {}", unit.id);
            return Err(ServiceError::Late { what, after: at_most, seen: now.sentence() });
        }
        thread::sleep(LOOK);
    }
}

/// Waits until it is back, or down and nothing will start it.
fn started(
    bus: &mut Bus,
    unit: &Unit,
    at_most: Duration,
    old_run: Option<&str>,
) -> Result<State, ServiceError> {
    until(bus, unit, "starting", at_most, |state| {
        Ok(state.is_back(old_run) || (state.phase.is_down() && !state.wanted_up))
    })
}

/// Whether `Restart=` restarts a service that this signal has ended.
fn restarts(restart: &str, signal: Signal) -> bool {
    // systemd treats these as a clean exit.
    let clean = matches!(signal, Signal::Term | Signal::Int | Signal::Hup);
    match restart {
        "always" => true,
        "on-success" => clean,
        "on-failure" | "on-abnormal" | "on-abort" => !clean,
        _ => false,
    }
}

/// Returns the service's unit name for a name as people write it.
fn unit_name(service: &str) -> Result<String, ServiceError> {
    const OTHER_KINDS: [&str; 10] = [
        ".socket",
        ".target",
        ".timer",
        ".mount",
        ".automount",
        ".path",
        ".slice",
        ".scope",
        ".swap",
        ".device",
    ];
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let why = if service.is_empty() {
        "it is empty"
    } else if service.starts_with(['.', '-', '@']) || !service.chars().all(is_allowed) {
        "unit names are made of letters, digits and `:-_.\\@`"
    } else if OTHER_KINDS.iter().any(|kind| service.ends_with(kind)) {
        "it is a unit of another kind; only services can be named"
    } else if service.len() > 240 {
        "it is too long"
    } else if service.trim_end_matches(".service").ends_with('@') {
        "it is a template; name an instance, such as `worker@1`"
    } else {
        let suffix = if service.ends_with(".service") { "" } else { ".service" };
        return Ok(format!("{service}{suffix}"));
    };
    Err(ServiceError::Name { service: service.to_owned(), manager: ServiceManager::Systemd, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_or_refused() {
        assert_eq!(unit_name("checkout").expect("fine"), "checkout.service");
        assert_eq!(unit_name("checkout.service").expect("fine"), "checkout.service");
        assert_eq!(unit_name("a.b@c-d").expect("fine"), "a.b@c-d.service");
        for wrong in ["", "a/b", "..", "a b", "x.socket", "-x", "w@", "w@.service", "ä", &"x".repeat(241)] {
            assert!(unit_name(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn restart_settings_mean_what_systemd_says() {
        assert!(restarts("always", Signal::Term) && restarts("on-failure", Signal::Kill));
        assert!(!restarts("on-failure", Signal::Term) && !restarts("no", Signal::Kill));
        assert!(restarts("on-success", Signal::Int) && !restarts("on-success", Signal::Abrt));
    }
}
