//! Remembers injections that have to be put back while their effect is still being made. Code that waits for such an effect
//! stops waiting.
//!
//! Kept in memory only, because a process that takes over an injection puts it back and never makes its effect.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use firedrill_wire::InjectionId;

use crate::host::Host;

/// The injections of one host that were called off.
#[derive(Debug, Default)]
pub(crate) struct CalledOff(Mutex<BTreeSet<InjectionId>>);

impl CalledOff {
    fn ids(&self) -> MutexGuard<'_, BTreeSet<InjectionId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks an injection as called off.
    pub(crate) fn add(&self, id: &InjectionId) {
        self.ids().insert(id.clone());
    }
}

/// Marks an injection as called off: its effect is no longer wanted.
pub fn call_off(host: &Host, id: &InjectionId) {
    host.kept.of::<CalledOff>().add(id);
}

/// Whether an injection was called off: its effect is no longer wanted. Any code in [`super::Inject::inject`] that
/// waits for long must ask this again and again.
#[must_use]
pub fn is_called_off(host: &Host, id: &InjectionId) -> bool {
    host.kept.of::<CalledOff>().ids().contains(id)
}

/// Forgets an injection that is over, so that a later one with the same id is a new injection.
pub(super) fn forget(host: &Host, id: &InjectionId) {
    host.kept.of::<CalledOff>().ids().remove(id);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_injection_is_called_off_on_its_own_host_only() {
        let host = |name: &str| Host::new(name, crate::host::Paths::default(), 1, Vec::new());
        let (its_host, other_host, id) = (host("a"), host("b"), "r-1-1".parse().unwrap());
        call_off(&its_host, &id);
        assert!(is_called_off(&its_host, &id) && !is_called_off(&other_host, &id));
        forget(&its_host, &id);
        assert!(!is_called_off(&its_host, &id));
    }
}
