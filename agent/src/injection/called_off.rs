//! Injections that are to be put back while their effect is still being made. Code that waits for such an effect stops
//! waiting.
//!
//! They are kept in memory only: a process that takes over an injection puts it back and never makes it.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use firedrill_wire::InjectionId;

static CALLED_OFF: Mutex<BTreeSet<InjectionId>> = Mutex::new(BTreeSet::new());

fn all() -> MutexGuard<'static, BTreeSet<InjectionId>> {
    CALLED_OFF.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Marks an injection as called off: its effect is no longer wanted.
pub fn call_off(id: &InjectionId) {
    all().insert(id.clone());
}

/// Whether an injection was called off: its effect is no longer wanted. Any code in [`super::Inject::inject`] that
/// waits for long must ask this again and again.
#[must_use]
pub fn is_called_off(id: &InjectionId) -> bool {
    all().contains(id)
}

/// Forgets an injection that is over. A later one with the same id begins anew.
pub(super) fn forget(id: &InjectionId) {
    all().remove(id);
}
