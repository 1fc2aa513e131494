//! The effects that this process has made already. A second `inject` of the same injection then makes nothing twice
//! and, above all, does not take its own work for somebody else's.
//!
//! They are kept until the injection is over, in memory only, because another process never tries an injection again.

use std::sync::{Mutex, PoisonError};

use firedrill_wire::InjectionId;

use super::{basis::Basis, error::InjectError, inject::Injected, prepared::Live};
use crate::host::process::Name;

static MADE: Mutex<Vec<(Key, Made)>> = Mutex::new(Vec::new());

type Key = (InjectionId, Basis);

/// The result of making an effect, and the values that evidence compares with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    /// The answer to `inject`.
    pub(crate) injected: Injected,
    /// The processes that were signalled, each with the CPU time (in clock ticks) that it had used right after the
    /// signal.
    pub(crate) processes: Vec<(Name, u64)>,
    /// Somebody else had made it so before: it was left alone, and nothing was done.
    pub(crate) left: bool,
}

impl Made {
    /// Somebody else had made it so before. It is not ours to put back, so the undo is dropped; the evidence says that
    /// nothing landed.
    pub(crate) fn left_alone(detail: String) -> Self {
        let injected = Injected { detail, undo: Some(Vec::new()) };
        Self { injected, left: true, ..Self::default() }
    }
}

fn key(live: &Live) -> Key {
    (live.ask.id.clone(), live.prepared.basis.clone())
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
    made.retain(|((of, _), _)| of != id);
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
    made.push((key(live), new));
    Ok(injected)
}
