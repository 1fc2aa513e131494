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
    service::{self, Phase, ServiceError, Unit},
};

/// How long one try waits for the service to be up; the next try waits on.
const PATIENCE: Duration = Duration::from_secs(30);

/// The marks that our own starts which failed have left, by service: the next try must not take them for somebody else's.
static TRIED: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Services that somebody else wants down: what needs one of them would start it, so it stays down as well.
static LEFT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn locked<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts it and waits until it is up. Up already: nothing to do. Gone, or stopped by somebody else since: left so, and
/// reported. Without a mark (the agent died while it was stopping it) it is started.
///
/// # Errors
/// It is down and could not be started, or it could not be asked for.
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
    let failed = |error: ServiceError| UndoError {
        what: format!("cannot start {unit} again: {error}"),
        by_hand: by_hand(&unit),
        passing: error.may_pass(),
    };
    let done = |undone: Undone| {
        manager.forget(&unit);
        Ok(undone)
    };
    let state = match manager.state(&unit) {
        Ok(state) => state,
        Err(ServiceError::Unknown { .. }) => {
            let detail = format!("{unit} is gone");
            return done(Undone {
                foreign: vec![format!("{detail}: somebody removed it meanwhile")],
                detail,
            });
        }
        Err(error) => return Err(failed(error)),
    };
    if state.phase == Phase::Up && state.wanted_up {
        locked(&LEFT).remove(&unit.key());
        return done(Undone { detail: format!("{unit} is {}", state.sentence()), foreign: Vec::new() });
    }
    let key = format!("{} {}", unit.key(), stopped_mark.unwrap_or_default());
    let ours = locked(&TRIED).get(&key).cloned();
    let mark = ours.as_deref().or(stopped_mark);
    let needed =
        manager.needs(&unit).map_err(failed)?.into_iter().find(|one| locked(&LEFT).contains(&one.key()));
    let theirs = mark
        .and_then(|mark| manager.acted_since(mark, &state))
        .or_else(|| needed.map(|one| format!("it needs {one}, which somebody else stopped")));
    if let Some(what) = theirs {
        locked(&LEFT).insert(unit.key());
        let detail = format!("{unit} is left {}", state.phase.word());
        // Not forgotten: asked again, the answer must be the same.
        return Ok(Undone { foreign: vec![format!("{detail}: {what}")], detail });
    }
    let state = manager.start(&unit, PATIENCE).map_err(|error| {
        if let Ok(left) = manager.state(&unit) {
            locked(&TRIED).insert(key.clone(), left.mark);
        }
        failed(error)
    })?;
    locked(&TRIED).remove(&key);
    done(Undone { detail: format!("{unit} was started and is {}", state.sentence()), foreign: Vec::new() })
}

fn by_hand(unit: &Unit) -> String {
    match unit.manager {
        ServiceManager::Systemd => format!("systemctl start {}", unit.id),
        ServiceManager::Runit | ServiceManager::Auto => format!("sv up {}", unit.id),
    }
}
