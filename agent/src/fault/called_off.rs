//! Injections that are to be put back while their effect is still being made: whoever waits for it gives up.
//!
//! Only ever in memory: what another process takes over is put back, never made.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use firedrill_wire::InjectionId;

static CALLED_OFF: Mutex<BTreeSet<InjectionId>> = Mutex::new(BTreeSet::new());

fn all() -> MutexGuard<'static, BTreeSet<InjectionId>> {
    CALLED_OFF.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Its effect is no longer wanted.
pub fn call_off(id: &InjectionId) {
    all().insert(id.clone());
}

/// Whether its effect is no longer wanted. Anything in [`super::Inject::inject`] that waits for long asks this again and again.
#[must_use]
pub fn is_called_off(id: &InjectionId) -> bool {
    all().contains(id)
}

/// The injection is over: another that has the same id later begins anew.
pub(super) fn forget(id: &InjectionId) {
    all().remove(id);
}
