//! Rules that exist in memory only, for tests: what a kernel is to the other drivers, this is to the null driver.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use firedrill_wire::{InjectionId, Span};
use ipnet::IpNet;

use super::undone::Undone;

static RULES: Mutex<BTreeMap<InjectionId, NullRules>> = Mutex::new(BTreeMap::new());

/// The rules of one injection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NullRules {
    /// The peers that are chosen.
    pub(crate) peers: Vec<IpNet>,
    /// The lease at the last opening or renewal; `None` while the gates are closed.
    pub(crate) lease: Option<Span>,
}

/// Returns all rules.
pub(crate) fn rules() -> MutexGuard<'static, BTreeMap<InjectionId, NullRules>> {
    RULES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes an injection's rules. Absent is success.
pub(super) fn apply(injection: &InjectionId) -> Undone {
    let how = if rules().remove(injection).is_some() { "were removed" } else { "were gone already" };
    Undone { detail: format!("null rules of {injection} {how}"), foreign: Vec::new() }
}
