//! Rules that exist in memory only, for tests. They take the place of the kernel for the null driver.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use firedrill_wire::{InjectionId, Span};
use ipnet::IpNet;

use super::undone::Undone;
use crate::{host::Host, mutex::lock};

/// The rules of one injection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NullRules {
    /// The peers whose packets the rules choose.
    pub(crate) peers: Vec<IpNet>,
    /// The lease at the last opening or renewal; `None` while the gates are closed.
    pub(crate) lease: Option<Span>,
}

/// The rules of one host, by injection.
#[derive(Debug, Default)]
pub(crate) struct NullKernel(Mutex<BTreeMap<InjectionId, NullRules>>);

impl NullKernel {
    /// Returns the rules of a host.
    pub(crate) fn of(host: &Host) -> Arc<Self> {
        host.kept.of()
    }

    /// Returns all rules.
    pub(crate) fn rules(&self) -> MutexGuard<'_, BTreeMap<InjectionId, NullRules>> {
        lock(&self.0)
    }
}

/// Removes an injection's rules. Absent rules are success.
pub(super) fn apply(host: &Host, injection: &InjectionId) -> Undone {
    let how = if NullKernel::of(host).rules().remove(injection).is_some() {
        "were removed"
    } else {
        "were gone already"
    };
    Undone { detail: format!("null rules of {injection} {how}"), foreign: Vec::new() }
}
