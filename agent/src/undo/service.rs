//! Starts a service that was up before and that the agent stopped. Never starts it if somebody else has acted on it since.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Duration,
};

use firedrill_wire::fault::ServiceManager;

use super::undone::{UndoError, Undone};
use crate::{
    host::Host,
    mutex::lock,
    service::{self, Manager, ServiceError, Unit},
};

/// Maximum time for which one try waits until the service is up. The next try continues to wait.
pub(super) const PATIENCE: Duration = Duration::from_secs(6);

/// Facts about services of this host that earlier tries of an undo leave for later tries.
#[derive(Debug, Default)]
pub(crate) struct Starts {
    /// The marks after starts by the agent that failed or timed out, by service and mark of its stop: the next try must not take these
    /// starts for somebody else's act.
    tried: Mutex<BTreeMap<String, String>>,
    /// The run of a service that was about to end when a try found it, by service and mark of its stop: this run does not count as
    /// the restarted service.
    old_runs: Mutex<BTreeMap<String, String>>,
    /// Services that undos left down because somebody else stopped them. A service that requires one of them would start
    /// it, so it stays down as well. An entry counts only while its service is down.
    left: Mutex<BTreeSet<String>>,
}

/// Starts the service, and waits until it is up in another run than the one that was asked to stop. Does nothing if
/// it is up. A service that is gone, or that somebody else has stopped since, is reported and left as it is. Without a mark
/// (the agent died while it stopped the service, or the service did not stop in time) it is started.
///
/// # Errors
/// It could not be started, the stopped run has not ended yet, or its state could not be read.
pub fn apply(
    host: &Host,
    which: ServiceManager,
    unit: &str,
    stopped_mark: Option<&str>,
) -> Result<Undone, UndoError> {
    let unit = Unit { manager: which, id: unit.to_owned() };
    let Some(manager) = service::manager(host, which) else {
        return Err(UndoError {
            what: format!("cannot start {unit}: {which} is not running on this host"),
            by_hand: service::start_by_hand(&unit),
            passing: true,
        });
    };
    start_again(&host.kept.of(), &*manager, &unit, stopped_mark)
}

/// Does the work of [`apply`], through a given manager.
pub(crate) fn start_again(
    starts: &Starts,
    manager: &dyn Manager,
    unit: &Unit,
    stopped_mark: Option<&str>,
) -> Result<Undone, UndoError> {
    let failed = |error: ServiceError| UndoError {
        what: format!("cannot start {unit} again: {error}"),
        by_hand: service::start_by_hand(unit),
        passing: error.may_pass(),
    };
    let done = |undone: Undone| {
        manager.forget(unit);
        Ok(undone)
    };
    let state = match manager.state(unit) {
        Ok(state) => state,
        Err(ServiceError::Unknown { .. }) => {
            return done(Undone::left(
                &unit.key(),
                format!("{unit} is gone"),
                "somebody removed it meanwhile",
            ));
        }
        Err(error) => return Err(failed(error)),
    };
    let key = format!("{} {}", unit.id, stopped_mark.unwrap_or_default());
    if let Some(run) = state.run.clone().filter(|_| manager.is_leaving(&state)) {
        lock(&starts.old_runs).insert(key.clone(), run);
    }
    let old_run = lock(&starts.old_runs).get(&key).cloned();
    // Without a mark the agent's stop may still be waiting to be carried out. A start that is sent now is carried out after it.
    let may_stop_yet = stopped_mark.is_none() && manager.commands_lag();
    if state.is_back(old_run.as_deref()) && !may_stop_yet {
        lock(&starts.left).remove(&unit.key());
        lock(&starts.old_runs).remove(&key);
        return done(Undone { detail: format!("{unit} is {}", state.sentence()), foreign: Vec::new() });
    }
    let after_own_start = lock(&starts.tried).get(&key).cloned();
    let mark = after_own_start.as_deref().or(stopped_mark);
    let mut left_down = None;
    for needed in manager.needs(unit).map_err(failed)? {
        if is_left_down(starts, manager, &needed).map_err(failed)? {
            left_down = Some(needed);
            break;
        }
    }
    let act_of_others = mark
        .and_then(|mark| manager.acted_since(mark, &state))
        .or_else(|| left_down.map(|needed| format!("it needs {needed}, which somebody else stopped")));
    if let Some(act) = act_of_others {
        lock(&starts.left).insert(unit.key());
        let detail = format!("{unit} is left {}", state.phase.word());
        // The manager still remembers the service, because a repeated call must give the same answer.
        return Ok(Undone::left(&unit.key(), detail, &act));
    }
    let state = manager.start(unit, PATIENCE, old_run.as_deref()).map_err(|error| {
        let seen = manager.state(unit).ok();
        // If the start may still be in progress, its end will leave another mark.
        let after = match &seen {
            Some(seen) if seen.phase.is_down() && !seen.wanted_up => Some(seen.mark.clone()),
            Some(seen) => Some(manager.mark_while_starting(&seen.mark)),
            None => mark.map(|mark| manager.mark_while_starting(mark)),
        };
        if let Some(after) = after {
            lock(&starts.tried).insert(key.clone(), after);
        }
        let old_process =
            seen.filter(|seen| old_run.is_some() && seen.run == old_run).and_then(|seen| seen.main);
        let mut failed = failed(error);
        if let Some(pid) = old_process {
            failed.what = format!("{}; its process {pid} was told to stop and has not ended", failed.what);
            failed.by_hand = format!("see why process {pid} does not end, end it, then {}", failed.by_hand);
        }
        failed
    })?;
    lock(&starts.left).remove(&unit.key());
    lock(&starts.tried).remove(&key);
    lock(&starts.old_runs).remove(&key);
    done(Undone { detail: format!("{unit} was started and is {}", state.sentence()), foreign: Vec::new() })
}

/// Forgets that somebody else wanted a service down. Called before a fault stops the service: it is up now.
pub(crate) fn forget_left_down(host: &Host, unit: &Unit) {
    let starts = host.kept.of::<Starts>();
    lock(&starts.left).remove(&unit.key());
}

/// Whether somebody else stopped it and it is still down.
fn is_left_down(starts: &Starts, manager: &dyn Manager, unit: &Unit) -> Result<bool, ServiceError> {
    if !lock(&starts.left).contains(&unit.key()) {
        return Ok(false);
    }
    let down = match manager.state(unit) {
        Ok(state) => state.phase.is_down() && !state.wanted_up,
        // A service that is gone cannot be started by one that requires it.
        Err(ServiceError::Unknown { .. }) => false,
        Err(error) => return Err(error),
    };
    if !down {
        lock(&starts.left).remove(&unit.key());
    }
    Ok(down)
}
