//! How attacks are counted against the guard's bounds, by the plan and again by the run.

use std::collections::{BTreeMap, BTreeSet};

use firedrill_wire::{Fault, Share};

use super::model::{Attack, Host};
use crate::fleet::values_of;

/// The label whose only group is the whole fleet.
pub(crate) const FLEET: &str = "fleet";

/// Hosts by each value of a label.
pub(crate) fn groups<'f>(hosts: &'f [Host], label: &str) -> BTreeMap<&'f str, BTreeSet<&'f str>> {
    let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for host in hosts {
        for value in values(host, label) {
            groups.entry(value).or_default().insert(&host.name);
        }
    }
    groups
}

/// The groups of a label that a host belongs to.
pub(crate) fn values<'f>(host: &'f Host, label: &str) -> BTreeSet<&'f str> {
    if label == FLEET { BTreeSet::from([FLEET]) } else { values_of(host, label).into_iter().collect() }
}

/// A group in words: `the fleet`, ``region `dallas` ``.
pub(crate) fn name(label: &str, value: &str) -> String {
    if label == FLEET { "the fleet".to_owned() } else { format!("{label} `{value}`") }
}

/// The hosts under a fault of the attack at each instant at which another one begins.
pub(crate) fn instants(attack: &Attack) -> Vec<BTreeSet<&str>> {
    let starts: BTreeSet<_> = attack.injections.iter().map(|one| one.at).collect();
    let at = |instant| {
        let holds = attack.injections.iter().filter(move |one| {
            one.at <= instant && (instant < one.at + one.hold || matches!(one.fault, Fault::HostPoweroff(_)))
        });
        holds.map(|one| one.host.as_str()).collect()
    };
    starts.into_iter().map(at).collect()
}

/// The hosts that an attack powers off: they stay so for the rest of the run.
pub(crate) fn powered_off(attack: &Attack) -> impl Iterator<Item = &str> {
    let off = attack.injections.iter().filter(|one| matches!(one.fault, Fault::HostPoweroff(_)));
    off.map(|one| one.host.as_str())
}

/// The part of a whole, as a fraction; of nothing it is none.
pub(crate) fn fraction(part: usize, whole: usize) -> f64 {
    let float = |count: usize| u32::try_from(count).map_or(f64::MAX, f64::from);
    if whole == 0 { 0.0 } else { float(part) / float(whole) }
}

/// Whether a part of a whole is within a share. A share in per cent is not exact, so a little more is within it.
pub(crate) fn within(part: usize, whole: usize, share: Share) -> bool {
    fraction(part, whole) <= share.fraction() + 1e-9
}
