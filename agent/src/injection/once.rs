//! The effects that this process has made already. A second `inject` of the same injection then makes nothing twice
//! and, above all, does not take its own work for somebody else's.
//!
//! They are kept until the injection is over, in memory only, because another process never tries an injection again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use firedrill_wire::InjectionId;

use super::{basis::Basis, error::InjectError, inject::Injected, prepared::Live};
use crate::host::{Host, process::Name};

/// The effects that were made on one host.
#[derive(Debug, Default)]
struct Effects(Mutex<Vec<(Key, Made)>>);

impl Effects {
    fn all(&self) -> MutexGuard<'_, Vec<(Key, Made)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
pub(crate) fn before(host: &Host, live: &Live) -> Option<Made> {
    let key = key(live);
    let effects = host.kept.of::<Effects>();
    let made = effects.all();
    made.iter().find(|(one, _)| *one == key).map(|(_, made)| made.clone())
}

/// Forgets everything about an injection.
pub(crate) fn forget(host: &Host, id: &InjectionId) {
    host.kept.of::<Effects>().all().retain(|((of, _), _)| of != id);
}

/// Makes an effect, unless it is made already. A failure is not remembered.
pub(crate) fn make(
    host: &Host,
    live: &Live,
    effect: impl FnOnce() -> Result<Made, InjectError>,
) -> Result<Injected, InjectError> {
    if let Some(made) = before(host, live) {
        return Ok(made.injected);
    }
    let new = effect()?;
    let injected = new.injected.clone();
    host.kept.of::<Effects>().all().push((key(live), new));
    Ok(injected)
}
