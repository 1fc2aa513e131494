//! Starting a service that was up before and that we stopped, unless somebody else has decided about it since.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use firedrill_wire::fault::ServiceManager;

use super::{UndoError, Undone};
use crate::{
    host::Host,
    service::{self, Manager, ServiceError, Unit},
};

/// Maximum time that one try waits for the service to be up; the next try continues to wait.
pub(super) const PATIENCE: Duration = Duration::from_secs(6);

/// The marks after our own starts that gave up, by service: the next try must not take what they did for somebody
/// else's act.
static TRIED: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// The runs that had been told to end when our tries found them, by service: none of them is the service that is back.
static TOLD: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Services that undos left down, because somebody else stopped them: what needs one of them would start it, so it
/// stays down as well. An entry counts only while its service is down.
static LEFT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn locked<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts it and waits until it is back: another run of it than the one that was told to stop is seen up, to stay. Up
/// already: nothing to do. Gone, or stopped by somebody else since: left so, and reported. Without a mark (the agent
/// died while it was stopping it, or it did not stop in time) it is started.
///
/// # Errors
/// It is not back and could not be started, what was told to stop has not ended yet, or it could not be asked for.
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
            by_hand: by_hand(&unit),
            passing: true,
        });
    };
    start_again(&*manager, &unit, stopped_mark)
}

/// [`apply`], through a manager.
pub(crate) fn start_again(
    manager: &dyn Manager,
    unit: &Unit,
    stopped_mark: Option<&str>,
) -> Result<Undone, UndoError> {
    let failed = |error: ServiceError| UndoError {
        what: format!("cannot start {unit} again: {error}"),
        by_hand: by_hand(unit),
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
        locked(&TOLD).insert(key.clone(), run);
    }
    let told = locked(&TOLD).get(&key).cloned();
    // Without a mark, a stop of ours may be on its way; a start that follows it is carried out after it.
    let may_stop_yet = stopped_mark.is_none() && manager.commands_lag();
    if state.is_back(told.as_deref()) && !may_stop_yet {
        locked(&LEFT).remove(&unit.key());
        locked(&TOLD).remove(&key);
        return done(Undone { detail: format!("{unit} is {}", state.sentence()), foreign: Vec::new() });
    }
    let ours = locked(&TRIED).get(&key).cloned();
    let mark = ours.as_deref().or(stopped_mark);
    let mut needed = None;
    for one in manager.needs(unit).map_err(failed)? {
        if is_left_down(manager, &one).map_err(failed)? {
            needed = Some(one);
            break;
        }
    }
    let theirs = mark
        .and_then(|mark| manager.acted_since(mark, &state))
        .or_else(|| needed.map(|one| format!("it needs {one}, which somebody else stopped")));
    if let Some(what) = theirs {
        locked(&LEFT).insert(unit.key());
        let detail = format!("{unit} is left {}", state.phase.word());
        // Not forgotten: asked again, the answer must be the same.
        return Ok(Undone::left(&unit.key(), detail, &what));
    }
    let state = manager.start(unit, PATIENCE, told.as_deref()).map_err(|error| {
        let left = manager.state(unit).ok();
        // Where the start may still be under way, its end will leave another mark than there is now.
        let after = match &left {
            Some(left) if left.phase.is_down() && !left.wanted_up => Some(left.mark.clone()),
            Some(left) => Some(manager.mark_while_starting(&left.mark)),
            None => mark.map(|mark| manager.mark_while_starting(mark)),
        };
        if let Some(after) = after {
            locked(&TRIED).insert(key.clone(), after);
        }
        let stays = left.filter(|left| told.is_some() && left.run == told).and_then(|left| left.main);
        let mut failed = failed(error);
        if let Some(pid) = stays {
            failed.what = format!("{}; its process {pid} was told to stop and has not ended", failed.what);
            failed.by_hand = format!("see why process {pid} does not end, end it, then {}", failed.by_hand);
        }
        failed
    })?;
    locked(&LEFT).remove(&unit.key());
    locked(&TRIED).remove(&key);
    locked(&TOLD).remove(&key);
    done(Undone { detail: format!("{unit} was started and is {}", state.sentence()), foreign: Vec::new() })
}

/// Forgets that somebody else wants the service down: a fault is about to stop it, so it is up.
pub(crate) fn is_wanted_up(unit: &Unit) {
    locked(&LEFT).remove(&unit.key());
}

/// Whether somebody else stopped it and it is down since.
fn is_left_down(manager: &dyn Manager, unit: &Unit) -> Result<bool, ServiceError> {
    if !locked(&LEFT).contains(&unit.key()) {
        return Ok(false);
    }
    let down = match manager.state(unit) {
        Ok(state) => state.phase.is_down() && !state.wanted_up,
        // A service that is gone cannot be started by what needs it.
        Err(ServiceError::Unknown { .. }) => false,
        Err(error) => return Err(error),
    };
    if !down {
        locked(&LEFT).remove(&unit.key());
    }
    Ok(down)
}

fn by_hand(unit: &Unit) -> String {
    match unit.manager {
        ServiceManager::Systemd => format!("systemctl start {}", unit.id),
        ServiceManager::Runit | ServiceManager::Auto => format!("sv up {}", unit.id),
    }
}
