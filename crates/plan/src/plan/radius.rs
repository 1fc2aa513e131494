//! Counts attacks against the guard's limits, for the plan and again for the run.

use std::collections::{BTreeMap, BTreeSet};

use firedrill_wire::Share;

use super::model::{Attack, Host};
use crate::fleet::values_of;

/// The label whose only group is the whole fleet.
pub const FLEET: &str = "fleet";

/// Groups hosts by the values of a label.
pub fn groups<'f>(hosts: &'f [Host], label: &str) -> BTreeMap<&'f str, BTreeSet<&'f str>> {
    let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for host in hosts {
        for value in values(host, label) {
            groups.entry(value).or_default().insert(&host.name);
        }
    }
    groups
}

/// Returns the groups of a label that a host belongs to.
pub fn values<'f>(host: &'f Host, label: &str) -> BTreeSet<&'f str> {
    if label == FLEET { BTreeSet::from([FLEET]) } else { values_of(host, label).into_iter().collect() }
}

/// Describes a group: `the fleet`, ``region `dallas` ``.
pub fn name(label: &str, value: &str) -> String {
    if label == FLEET { "the fleet".to_owned() } else { format!("{label} `{value}`") }
}

/// Returns the hosts under a fault of the attack at each instant at which a fault begins.
pub fn instants(attack: &Attack) -> Vec<BTreeSet<&str>> {
    let starts: BTreeSet<_> = attack.injections.iter().map(|one| one.at).collect();
    let at = |instant| {
        let holds = attack
            .injections
            .iter()
            .filter(move |one| one.at <= instant && (instant < one.at + one.hold || one.fault.powers_off()));
        holds.map(|one| one.host.as_str()).collect()
    };
    starts.into_iter().map(at).collect()
}

/// Returns the hosts that an attack powers off. They stay off for the rest of the run.
pub fn powered_off(attack: &Attack) -> impl Iterator<Item = &str> {
    let off = attack.injections.iter().filter(|one| one.fault.powers_off());
    off.map(|one| one.host.as_str())
}

/// Returns the part of a whole as a fraction; 0 if the whole is empty.
pub fn fraction(part: usize, whole: usize) -> f64 {
    let float = |count: usize| u32::try_from(count).map_or(f64::MAX, f64::from);
    if whole == 0 { 0.0 } else { float(part) / float(whole) }
}

/// Whether a part of a whole is within a share. The margin covers rounding errors of a share in per cent.
pub fn within(part: usize, whole: usize, share: Share) -> bool {
    fraction(part, whole) <= share.fraction() + 1e-9
}
