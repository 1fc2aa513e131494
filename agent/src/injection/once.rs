//! Remembers the effects that this process has made. So a second `inject` of the same injection makes nothing twice and, above
//! all, does not take its own work for somebody else's.
//!
//! Kept until the injection is over, and in memory only, because another process never tries an injection again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use firedrill_wire::InjectionId;

use super::{basis::Basis, error::InjectError, inject::Injected, prepared::Live};
use crate::host::{Host, process::Name};

/// The effects that were made on one host.
#[derive(Debug, Default)]
struct Effects(Mutex<Vec<Effect>>);

impl Effects {
    fn list(&self) -> MutexGuard<'_, Vec<Effect>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An effect, and the injection and the basis for which it was made.
#[derive(Debug)]
struct Effect {
    id: InjectionId,
    basis: Basis,
    made: Made,
}

/// The result of making an effect, and the values that evidence compares with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    /// The result of `inject`.
    pub(crate) injected: Injected,
    /// The processes that were signalled, each with the CPU time (in clock ticks) that it had used right after the
    /// signal.
    pub(crate) processes: Vec<(Name, u64)>,
    /// Whether nothing was done, because somebody else had already done the same. The evidence then says that the fault had
    /// no effect.
    pub(crate) left_alone: bool,
}

impl Made {
    /// Returns the result if somebody else had already done the same, so that nothing was done. The fault must not put that
    /// back, so the undo is dropped.
    pub(crate) fn left_alone(detail: String) -> Self {
        let injected = Injected { detail, undo: Some(Vec::new()) };
        Self { injected, left_alone: true, ..Self::default() }
    }
}

/// Returns the effect that this process has made for an injection; `None` if it has made none.
pub(crate) fn before(host: &Host, live: &Live) -> Option<Made> {
    let effects = host.kept.of::<Effects>();
    let effects = effects.list();
    let is_same = |effect: &&Effect| effect.id == live.ask.id && effect.basis == live.prepared.basis;
    effects.iter().find(is_same).map(|effect| effect.made.clone())
}

/// Forgets everything about an injection.
pub(crate) fn forget(host: &Host, id: &InjectionId) {
    host.kept.of::<Effects>().list().retain(|effect| effect.id != *id);
}

/// Makes an effect, unless this process has made it already. A failure is not remembered.
///
/// # Errors
/// The error of `effect`.
pub(crate) fn make(
    host: &Host,
    live: &Live,
    effect: impl FnOnce() -> Result<Made, InjectError>,
) -> Result<Injected, InjectError> {
    if let Some(made) = before(host, live) {
        return Ok(made.injected);
    }
    let made = effect()?;
    let injected = made.injected.clone();
    let effect = Effect { id: live.ask.id.clone(), basis: live.prepared.basis.clone(), made };
    host.kept.of::<Effects>().list().push(effect);
    Ok(injected)
}
