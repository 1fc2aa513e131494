//! systemd, over D-Bus.
//!
//! Only services are found by name; other kinds of units appear where they go down together with one. Jobs are queued
//! with mode `replace`, as `systemctl` does.
//!
//! Whether somebody else acted on a unit that we stopped is told by when it last went down and which run was its last.
//! systemd forgets both with the unit, so it is asked to keep it in memory for as long as this process lives. Where it
//! has forgotten (this process died, the bus was restarted), only disabling and masking can be told, and the unit is
//! started. A second `systemctl stop` of a unit that is down already leaves no trace at all.

mod bus;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use firedrill_wire::fault::{ServiceManager, Signal};

use self::bus::{Bus, Pin, Properties, ask, of};
use super::{About, Manager, Phase, ServiceError, State, Unit};
use crate::host::process::{Name, Stat};

/// How often a unit is looked at while a job runs.
const LOOK: Duration = Duration::from_millis(30);
/// For questions that nothing has to happen for.
const QUESTION: Duration = Duration::from_secs(10);
/// More units than that do not go down with one; a bound against cycles.
const DEPENDENTS: usize = 64;
/// Stopping these would cut the agent off from systemd.
const BUSES: [&str; 3] = ["dbus.service", "dbus-broker.service", "dbus.socket"];

/// The units that systemd keeps in memory for us.
static PINS: Mutex<BTreeMap<String, Pin>> = Mutex::new(BTreeMap::new());

fn pins() -> MutexGuard<'static, BTreeMap<String, Pin>> {
    PINS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// systemd on this host.
#[derive(Debug)]
pub struct Systemd(());

impl Systemd {
    /// systemd, if it is what this host was booted with.
    #[must_use]
    pub fn here() -> Option<Self> {
        Path::new("/run/systemd/system").is_dir().then_some(Self(()))
    }
}

impl Manager for Systemd {
    fn find(&self, service: &str) -> Result<Option<Unit>, ServiceError> {
        let name = unit_name(service)?;
        ask(QUESTION, async |bus| {
            let unit = load(bus, &name).await?.0;
            // An alias is the unit that it stands for.
            let known = unit.text("LoadState") != "not-found";
            Ok(known.then(|| Unit { manager: ServiceManager::Systemd, id: unit.text("Id") }))
        })
    }

    fn state(&self, unit: &Unit) -> Result<State, ServiceError> {
        ask(QUESTION, async |bus| state(bus, &unit.id).await)
    }

    fn about(&self, unit: &Unit) -> Result<About, ServiceError> {
        ask(QUESTION, async |bus| about(bus, unit).await)
    }

    fn comeback(&self, unit: &Unit, signal: Signal) -> Result<String, ServiceError> {
        ask(QUESTION, async |bus| {
            let service = load(bus, &unit.id).await?.1;
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
        let found = ask(QUESTION, async |bus| {
            bus.manager.get_unit_processes(unit.id.clone()).await.map_err(|error| of(&what, error))
        })?;
        let mut names = BTreeSet::new();
        for (_, pid, _) in found {
            let Ok(pid) = i32::try_from(pid) else { continue };
            let stat = Stat::read(pid)
                .map_err(|error| ServiceError::Failed { what: what.clone(), why: error.to_string() })?;
            names.extend(stat.filter(|stat| !stat.is_dead()).map(|stat| stat.name));
        }
        Ok(names.into_iter().collect())
    }

    fn stop(&self, unit: &Unit, at_most: Duration) -> Result<State, ServiceError> {
        ask(at_most, async |bus| {
            let what = format!("stop {}", unit.id);
            bus.manager
                .stop_unit(unit.id.clone(), "replace".into())
                .await
                .map_err(|error| of(&what, error))?;
            until(bus, unit, "stopping", at_most, |state| Ok(state.phase.is_down() && !state.wanted_up)).await
        })
    }

    fn start(&self, unit: &Unit, at_most: Duration) -> Result<State, ServiceError> {
        ask(at_most, async |bus| {
            let what = format!("start {}", unit.id);
            let failed = |error| of(&what, error);
            bus.manager.start_unit(unit.id.clone(), "replace".into()).await.map_err(failed)?;
            let state = started(bus, unit, at_most).await?;
            if state.phase == Phase::Up {
                return Ok(state);
            }
            // Many starts in a short time (by whomever) must not keep it down: that is a limit for crashes.
            if load(bus, &unit.id).await?.1.text("Result") == "start-limit-hit" {
                bus.manager.reset_failed_unit(unit.id.clone()).await.map_err(failed)?;
                bus.manager.start_unit(unit.id.clone(), "replace".into()).await.map_err(failed)?;
                let state = started(bus, unit, at_most).await?;
                if state.phase == Phase::Up {
                    return Ok(state);
                }
            }
            let result = load(bus, &unit.id).await?.1.text("Result");
            let why = format!("it did not stay up (result `{result}`); see its log");
            Err(ServiceError::Failed { what: what.clone(), why })
        })
    }

    fn restart(&self, unit: &Unit, at_most: Duration) -> Result<State, ServiceError> {
        ask(at_most, async |bus| {
            let before = state(bus, &unit.id).await?;
            let what = format!("restart {}", unit.id);
            bus.manager
                .restart_unit(unit.id.clone(), "replace".into())
                .await
                .map_err(|error| of(&what, error))?;
            let run = Mark::read(&before.mark).run;
            until(bus, unit, "restarting", at_most, |state| {
                Ok(state.main != before.main || Mark::read(&state.mark).run != run)
            })
            .await
        })
    }

    fn remember(&self, unit: &Unit) -> Result<(), ServiceError> {
        let pin = Pin::new(&unit.id)?;
        pins().insert(unit.id.clone(), pin);
        Ok(())
    }

    fn forget(&self, unit: &Unit) {
        pins().remove(&unit.id);
    }

    fn acted_since(&self, mark: &str, now: &State) -> Option<String> {
        acted_since(mark, now)
    }

    fn list(&self) -> Result<Vec<(Unit, Phase, bool)>, ServiceError> {
        ask(QUESTION, async |bus| {
            let units = bus.manager.list_units().await.map_err(|error| of("list units", error))?;
            Ok(units
                .into_iter()
                // systemd forgets units that are down when it likes, so those say nothing.
                .filter(|unit| unit.0.ends_with(".service") && unit.3 != "inactive")
                .map(|unit| {
                    let phase = phase(&unit.3);
                    let job = (unit.7 != 0).then_some(unit.8.as_str());
                    (Unit { manager: ServiceManager::Systemd, id: unit.0 }, phase, wanted_up(phase, job))
                })
                .collect())
        })
    }

    fn looked(&self) -> String {
        "systemd's units".to_owned()
    }
}

/// A unit's properties, and those that it has as a service (none for other kinds).
async fn load(bus: &Bus, id: &str) -> Result<(Properties, Properties), ServiceError> {
    let what = format!("load {id}");
    let failed = |error| of(&what, error);
    let path = bus.manager.load_unit(id.to_owned()).await.map_err(failed)?;
    let unit = bus.properties(&path, "Unit").await.map_err(failed)?;
    let service = if unit.text("Id").ends_with(".service") {
        bus.properties(&path, "Service").await.map_err(failed)?
    } else {
        Properties::default()
    };
    Ok((unit, service))
}

async fn state(bus: &Bus, id: &str) -> Result<State, ServiceError> {
    let (unit, service) = load(bus, id).await?;
    let load_state = unit.text("LoadState");
    let phase = phase(&unit.text("ActiveState"));
    if load_state == "not-found" && phase.is_down() {
        return Err(ServiceError::Unknown { service: id.to_owned(), looked: "systemd's units".into() });
    }
    let job = match unit.job() {
        // The job may be over by now, and then it is as if there had been none.
        Some(path) => bus.properties(&path, "Job").await.ok().map(|job| job.text("JobType")),
        None => None,
    };
    let mark = Mark {
        run: unit.hex("InvocationID"),
        down_since: unit.number("InactiveEnterTimestampMonotonic").unwrap_or_default().to_string(),
        file: if load_state == "masked" { load_state } else { unit.text("UnitFileState") },
    };
    let main = service.number("MainPID").filter(|pid| *pid != 0).and_then(|pid| i32::try_from(pid).ok());
    Ok(State { phase, wanted_up: wanted_up(phase, job.as_deref()), main, mark: mark.text() })
}

async fn until(
    bus: &Bus,
    unit: &Unit,
    what: &str,
    at_most: Duration,
    wanted: impl Fn(&State) -> Result<bool, ServiceError>,
) -> Result<State, ServiceError> {
    let end = Instant::now() + at_most;
    loop {
        let now = state(bus, &unit.id).await?;
        if wanted(&now)? {
            return Ok(now);
        }
        if Instant::now() >= end {
            let what = format!("{what} {}", unit.id);
            return Err(ServiceError::Late { what, after: at_most, seen: now.sentence() });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until it is up, or down with nothing left that would start it.
async fn started(bus: &Bus, unit: &Unit, at_most: Duration) -> Result<State, ServiceError> {
    until(bus, unit, "starting", at_most, |state| {
        Ok(state.phase == Phase::Up || (state.phase.is_down() && !state.wanted_up))
    })
    .await
}

async fn about(bus: &Bus, asked: &Unit) -> Result<About, ServiceError> {
    let (unit, service) = load(bus, &asked.id).await?;
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
        if !phase(&load(bus, &trigger).await?.0.text("ActiveState")).is_down() {
            about.notes.push(format!("{trigger} is active and may start {} again by itself", asked.id));
        }
    }
    let mut seen = BTreeSet::from([asked.id.clone()]);
    let mut queue = falls_with(&unit);
    while let Some(id) = queue.pop() {
        if !seen.insert(id.clone()) || seen.len() > DEPENDENTS {
            continue;
        }
        let properties = load(bus, &id).await?.0;
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

/// The units that systemd stops when this one is stopped.
fn falls_with(unit: &Properties) -> Vec<String> {
    ["RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf", "PropagatesStopTo"]
        .iter()
        .flat_map(|key| unit.texts(key))
        .collect()
}

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

fn phase(active: &str) -> Phase {
    match active {
        "active" | "reloading" | "refreshing" => Phase::Up,
        "activating" => Phase::Starting,
        "failed" => Phase::Failed,
        "inactive" => Phase::Down,
        // `deactivating`, and `maintenance`, in which something is being cleaned up.
        _ => Phase::Stopping,
    }
}

fn wanted_up(phase: Phase, job: Option<&str>) -> bool {
    match job {
        Some("stop") => false,
        Some(_) => true,
        None => matches!(phase, Phase::Up | Phase::Starting),
    }
}

/// Whether `Restart=` starts a service again that died of that signal.
fn restarts(restart: &str, signal: Signal) -> bool {
    // systemd counts these as a clean end.
    let clean = matches!(signal, Signal::Term | Signal::Int | Signal::Hup);
    match restart {
        "always" => true,
        "on-success" => clean,
        "on-failure" | "on-abnormal" | "on-abort" => !clean,
        _ => false,
    }
}

/// A service's unit name from what people write.
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
    let well = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let why = if service.is_empty() {
        "it is empty"
    } else if service.starts_with(['.', '-', '@']) || !service.chars().all(well) {
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

/// What systemd remembers of a unit that is down, as far as it tells that somebody acted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Mark {
    /// Which run was its last (the invocation's id).
    run: String,
    /// When it last went down, in microseconds by CLOCK_MONOTONIC.
    down_since: String,
    /// `enabled`, `disabled`, `masked`, …
    file: String,
}

impl Mark {
    fn text(&self) -> String {
        format!("{}:{}:{}", self.run, self.down_since, self.file)
    }

    fn read(text: &str) -> Self {
        let mut parts = text.splitn(3, ':').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Self { run: next(), down_since: next(), file: next() }
    }
}

fn acted_since(mark: &str, now: &State) -> Option<String> {
    if now.wanted_up {
        return None;
    }
    let (then, seen) = (Mark::read(mark), Mark::read(&now.mark));
    if then.file != seen.file && matches!(seen.file.as_str(), "disabled" | "masked" | "masked-runtime") {
        Some(format!("its unit file was made `{}` since", seen.file))
    } else if then.run.is_empty() || seen.run.is_empty() {
        // Forgotten, at one time or the other.
        None
    } else if then.run != seen.run || then.down_since != seen.down_since {
        Some("it was started by somebody else since, and went down again".to_owned())
    } else {
        None
    }
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

    #[test]
    fn a_mark_tells_who_acted() {
        let mark = Mark { run: "aa".into(), down_since: "17".into(), file: "enabled".into() };
        let now =
            |mark: Mark, wanted_up| State { phase: Phase::Down, wanted_up, main: None, mark: mark.text() };
        assert_eq!(acted_since(&mark.text(), &now(mark.clone(), false)), None);
        let again = Mark { down_since: "18".into(), ..mark.clone() };
        assert!(acted_since(&mark.text(), &now(again.clone(), false)).is_some());
        assert_eq!(acted_since(&mark.text(), &now(again, true)), None, "it is on its way up");
        let forgotten = Mark { run: String::new(), down_since: "0".into(), ..mark.clone() };
        assert_eq!(acted_since(&mark.text(), &now(forgotten.clone(), false)), None, "nothing can be told");
        assert_eq!(acted_since(&forgotten.text(), &now(mark.clone(), false)), None, "nothing can be told");
        let masked = Mark { file: "masked".into(), ..mark.clone() };
        assert!(acted_since(&mark.text(), &now(masked, false)).is_some_and(|what| what.contains("masked")));
        let odd = Mark { run: "aa".into(), down_since: "17".into(), file: "a:b".into() };
        assert_eq!(Mark::read(&odd.text()), odd);
    }
}
