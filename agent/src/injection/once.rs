//! The effects that this process has made already. A second `inject` of the same injection then makes nothing twice
//! and, above all, does not take its own work for somebody else's.
//!
//! They are kept in memory only, because another process never tries an injection again.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use firedrill_wire::InjectionId;

use super::{
    inject::{InjectError, Injected},
    prepared::Live,
};
use crate::host::process::Name;

/// Maximum number of effects that are remembered; far more than a host can have in force at once.
const KEPT: usize = 512;

static MADE: Mutex<VecDeque<(Key, Made)>> = Mutex::new(VecDeque::new());

type Key = (String, String);

/// The result of making an effect, and the values that evidence compares with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    /// The answer to `inject`.
    pub(crate) injected: Injected,
    /// The processes that were signalled, each with the CPU time (in clock ticks) that it had used right after the
    /// signal.
    pub(crate) processes: Vec<(Name, u64)>,
}

fn key(live: &Live) -> Key {
    (live.ask.id.to_string(), live.prepared.basis.clone())
}

/// Returns what this process made for an injection; `None` if it made nothing.
pub(crate) fn before(live: &Live) -> Option<Made> {
    let key = key(live);
    let made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.iter().find(|(one, _)| *one == key).map(|(_, made)| made.clone())
}

/// Forgets everything about an injection.
pub(crate) fn forget(id: &InjectionId) {
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.retain(|((of, _), _)| of != id.as_str());
}

/// Makes an effect, unless it is made already. A failure is not remembered.
pub(crate) fn make(
    live: &Live,
    effect: impl FnOnce() -> Result<Made, InjectError>,
) -> Result<Injected, InjectError> {
    if let Some(made) = before(live) {
        return Ok(made.injected);
    }
    let new = effect()?;
    let injected = new.injected.clone();
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if made.len() >= KEPT {
        made.pop_front();
    }
    made.push_back((key(live), new));
    Ok(injected)
}
