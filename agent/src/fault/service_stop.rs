//! `service-stop`: stops a service through its manager, and starts it again afterwards.
//!
//! Never stops a service that is not clearly up. If the service is already down when the fault starts, somebody else has
//! stopped it, and the fault leaves it alone.

use firedrill_wire::{
    RefusalCode,
    api::Problem,
    evidence::{Evidence, Seen},
    fault::ServiceStop,
};

use crate::{
    host::Host,
    injection::{
        Ask, Basis, Inject, InjectError, Injected, Live, Prepared, is_called_off, once, once::Made, refuse,
    },
    service::{self, Manager, Phase, State, Unit},
    undo::{Undo, service::is_wanted_up},
};

impl Inject for ServiceStop {
    fn prepare(&self, host: &Host, _ask: &Ask) -> Result<Prepared, Problem> {
        let (manager, unit) = service::pick(host, self.manager, &self.service)?;
        let state = must_be_up(&*manager, &unit)?;
        let about = manager.about(&unit).map_err(|error| unreadable(&unit, &error))?;
        if let Some(why) = about.not_stoppable {
            return Err(refuse(
                RefusalCode::NotStoppable,
                format!("{unit} cannot be stopped and started again: {why}"),
                "",
            ));
        }
        let mut units = vec![unit.clone()];
        units.extend(about.dependents);
        let mut effects = vec![match state.main {
            Some(pid) => format!("stop {unit}, main process {pid}"),
            None => format!("stop {unit}"),
        }];
        effects
            .extend(units.iter().skip(1).map(|dependent| format!("its manager stops {dependent} with it")));
        let notes = about.notes;
        for unit in &units {
            must_not_be_own(&*manager, unit)?;
        }
        Ok(Prepared {
            claims: units.iter().map(Unit::claim).collect(),
            effects,
            // The undo runs from the end: it starts the service itself first, then the units that need it.
            undo: units.iter().rev().map(|unit| start(unit, None)).collect(),
            switches: vec!["guardian".into()],
            notes,
            basis: Basis::Units(units),
        })
    }

    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError> {
        once::make(host, live, || {
            let units = live.prepared.basis.units()?;
            let Some((unit, dependents)) = units.split_first() else {
                return Err(InjectError("nothing was prepared that could be stopped".into()));
            };
            let manager = service::manager(host, unit.manager)
                .ok_or_else(|| InjectError(format!("{} is not on this host any more", unit.manager)))?;
            let look = |unit: &Unit| manager.state(unit).map_err(|error| InjectError(error.to_string()));
            let state = look(unit)?;
            if state.phase.is_down() || !state.wanted_up {
                // Somebody else has stopped it, so the fault must not start it again, and the undo is dropped. The evidence
                // says that the fault had no effect.
                let detail =
                    format!("{unit} was {} already, by somebody else; it is left alone", state.sentence());
                return Ok(Made::left_alone(detail));
            }
            // A dependent that is down already is not started again either.
            let mut up = Vec::new();
            for dependent in dependents {
                if !look(dependent)?.phase.is_down() {
                    up.push(dependent);
                }
            }
            // An earlier undo may remember that somebody wants these units down. They are up, so forget it.
            up.iter().copied().chain([unit]).for_each(|unit| is_wanted_up(host, unit));
            let not_remembered = units.iter().find_map(|unit| manager.remember(unit).err());
            let down = manager
                .stop(unit, live.ask.fault.ramp(live.ask.hold).into(), &|| is_called_off(host, &live.ask.id))
                .map_err(|error| InjectError(error.to_string()))?;
            let mut undo = vec![start(unit, Some(down.mark))];
            // In front, because the undo runs from the end and the service itself comes first.
            for dependent in up {
                undo.insert(0, start(dependent, Some(look(dependent)?.mark)));
            }
            let mut detail = format!("{unit} is {}", down.phase.word());
            if let Some(error) = not_remembered {
                detail = format!("{detail}; if somebody else stops it now, that may not be noticed: {error}");
            }
            Ok(Made { injected: Injected { detail, undo: Some(undo) }, ..Made::default() })
        })
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        let seen =
            |seen: Seen, detail: String| Evidence { in_force: seen, exercised: seen, count: None, detail };
        if once::before(host, live).is_some_and(|made| made.left_alone) {
            return seen(Seen::No, "somebody else had stopped it before the fault".into());
        }
        let unit = match live.prepared.basis.units() {
            Ok([unit, ..]) => unit,
            Ok([]) => return seen(Seen::Unknown, "no unit was prepared".into()),
            Err(error) => return error.unseen(),
        };
        let Some(manager) = service::manager(host, unit.manager) else {
            return seen(Seen::Unknown, format!("{} is not on this host any more", unit.manager));
        };
        match manager.state(unit) {
            Ok(state) if state.phase.is_down() && !state.wanted_up => {
                seen(Seen::Yes, format!("{unit} is {}", state.sentence()))
            }
            Ok(state) => seen(Seen::No, format!("{unit} is {}", state.sentence())),
            Err(error) => seen(Seen::Unknown, error.to_string()),
        }
    }
}

/// Returns the undo that starts a unit. The mark tells whether somebody else has stopped or started the unit since.
fn start(unit: &Unit, stopped_mark: Option<String>) -> Undo {
    Undo::StartService { manager: unit.manager, unit: unit.id.clone(), stopped_mark }
}

/// Returns the state of a unit that is up.
///
/// # Errors
/// The refusal: the unit is not up, is not meant to stay up, or its state cannot be read.
pub(super) fn must_be_up(manager: &dyn Manager, unit: &Unit) -> Result<State, Problem> {
    let state = manager.state(unit).map_err(|error| unreadable(unit, &error))?;
    match state.phase {
        Phase::Up if state.wanted_up => Ok(state),
        Phase::Up => Err(refuse(
            RefusalCode::ServiceLeaving,
            format!("{unit} is {}: it is not meant to stay up", state.sentence()),
            "start it for good first",
        )),
        Phase::Down | Phase::Failed => Err(refuse(
            RefusalCode::ServiceDown,
            format!("{unit} is {}: what is not up cannot be harmed, and is never started", state.sentence()),
            "start it first, or leave this host out",
        )),
        Phase::Starting | Phase::Stopping => Err(refuse(
            RefusalCode::ServiceChanging,
            format!("{unit} is {}", state.sentence()),
            "try again once it is up",
        )),
    }
}

/// Refuses the service in which the agent itself runs.
///
/// # Errors
/// The refusal: the agent runs in this unit, or the processes cannot be read.
pub(super) fn must_not_be_own(manager: &dyn Manager, unit: &Unit) -> Result<(), Problem> {
    let members = manager.processes(unit).map_err(|error| unreadable(unit, &error))?;
    let processes = crate::host::process::all().map_err(|error| {
        refuse(RefusalCode::Unreadable, format!("cannot look whether the agent runs in {unit}: {error}"), "")
    })?;
    let agent = super::matching::own(&processes);
    if members.iter().any(|name| agent.contains(&name.pid)) {
        return Err(refuse(
            RefusalCode::OwnService,
            format!("the agent itself runs in {unit}"),
            "name another service",
        ));
    }
    Ok(())
}

/// Returns the refusal for a unit whose state cannot be read.
pub(super) fn unreadable(unit: &Unit, error: &service::ServiceError) -> Problem {
    refuse(
        RefusalCode::ServiceManager,
        format!("cannot read the state of {unit}: {error}"),
        "see `firedrill doctor` for this host",
    )
}
