//! The blast radius: the number of hosts under a fault at any instant must not exceed the guard's limits.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use firedrill_wire::Share;

use crate::{
    diagnostic::{Item, Place, Problem, Sink, suggest},
    fleet::Fleet,
    plan::{radius, resolve::Draft},
    scenario::{Scenario, guard::Guard},
};

/// Refuses attacks that exceed the guard's limits.
pub(super) fn refuse(scenario: &Scenario, fleet: &Fleet, draft: &Draft, sink: &mut Sink) {
    let Some(guard) = &scenario.guard else { return };
    if !labels_exist(guard, fleet, sink) {
        return;
    }
    let bounds = Bounds::new(guard, fleet);
    // A powered-off host stays off for the rest of the run.
    let mut off = Hit::default();
    // The hosts that the current attack of the file powers off. They are added to `off` only after it: of its alternatives on a moving
    // target one runs, so that hosts of the others stay on.
    let (mut current, mut off_later) = (None, Vec::new());
    for placed in &draft.attacks {
        if current != Some(placed.item) || placed.attack.leader.is_none() {
            off_later.drain(..).for_each(|host| bounds.add(&mut off, host));
            current = Some(placed.item);
        }
        let item = &scenario.attacks[placed.item];
        let mut reported = BTreeSet::new();
        for hosts in radius::instants(&placed.attack) {
            for (message, place) in bounds.exceeded(&hosts, &off) {
                if reported.insert(message.clone()) {
                    sink.push(
                        Problem::error(format!("attack `{}` {message}", placed.attack.name))
                            .at(item.place_of(&item.value.on.at), "too many at once")
                            .also(place, "the guard"),
                    );
                }
            }
        }
        off_later.extend(radius::powered_off(&placed.attack));
    }
}

/// Whether the fleet has the guard's labels and enough hosts of its roles; reports those that it lacks.
fn labels_exist(guard: &Item<Guard>, fleet: &Fleet, sink: &mut Sink) -> bool {
    let mut exist = true;
    if let Some(max) = &guard.value.max_share
        && max.of.value != radius::FLEET
        && radius::groups(&fleet.hosts, &max.of).is_empty()
    {
        let message = format!("no host has a label `{}`, so the guard would have no effect", max.of.value);
        let help = suggest(&max.of, fleet.label_keys().into_iter().chain([radius::FLEET]), "labels");
        sink.push(
            Problem::error(message).at(guard.place_of(&max.of.at), "not a label in this fleet").help(help),
        );
        exist = false;
    }
    let roles = radius::groups(&fleet.hosts, "role");
    for (role, count) in &guard.value.keep {
        let there = roles.get(role.as_str()).map_or(0, BTreeSet::len);
        let keep = usize::try_from(count.value).unwrap_or(usize::MAX);
        if there == 0 {
            let help = suggest(role, roles.keys().copied(), "roles");
            let problem =
                Problem::error(format!("no host has the role `{role}`, so the guard would have no effect"));
            sink.push(problem.at(guard.place_of_key(role), "not a role in this fleet").help(help));
            exist = false;
        } else if there < keep {
            let message =
                format!("the guard keeps {keep} hosts of role `{role}`, and there are only {there}");
            sink.push(Problem::error(message).at(guard.place_of(&count.at), "more than there are"));
            exist = false;
        }
    }
    exist
}

/// The guard's limits, with the hosts that each of them counts.
struct Bounds<'f> {
    guard: &'f Item<Guard>,
    fleet: &'f Fleet,
    /// Number of hosts for each value of the label of `max_share`.
    groups: BTreeMap<&'f str, usize>,
    /// Number of hosts of each role.
    roles: BTreeMap<&'f str, usize>,
}

/// Hosts under a fault, and their number in each group and role.
#[derive(Default)]
struct Hit<'f> {
    hosts: HashSet<&'f str>,
    groups: BTreeMap<&'f str, usize>,
    roles: BTreeMap<&'f str, usize>,
}

impl<'f> Bounds<'f> {
    fn new(guard: &'f Item<Guard>, fleet: &'f Fleet) -> Self {
        let count = |groups: BTreeMap<&'f str, BTreeSet<&'f str>>| {
            groups.into_iter().map(|(value, hosts)| (value, hosts.len())).collect()
        };
        let label = guard.value.max_share.as_ref().map(|max| max.of.value.as_str());
        Self {
            guard,
            fleet,
            groups: label.map(|label| count(radius::groups(&fleet.hosts, label))).unwrap_or_default(),
            roles: count(radius::groups(&fleet.hosts, "role")),
        }
    }

    /// Adds a host, once.
    fn add(&self, hit: &mut Hit<'f>, host: &str) {
        let Some(host) = self.fleet.host(host) else { return };
        if !hit.hosts.insert(&host.name) {
            return;
        }
        if let Some(max) = &self.guard.value.max_share {
            let values = radius::values(host, &max.of.value);
            values.into_iter().for_each(|value| *hit.groups.entry(value).or_default() += 1);
        }
        let roles = radius::values(host, "role");
        roles.into_iter().for_each(|role| *hit.roles.entry(role).or_default() += 1);
    }

    /// Returns the limits that are exceeded if these hosts are hit in addition to those that are off already.
    fn exceeded(&self, hosts: &BTreeSet<&str>, off: &Hit<'f>) -> Vec<(String, Place)> {
        let mut hit = Hit::default();
        hosts.iter().filter(|host| !off.hosts.contains(**host)).for_each(|host| self.add(&mut hit, host));
        let mut exceeded = Vec::new();
        if let Some(max) = &self.guard.value.max_share {
            let values: BTreeSet<&str> = hit.groups.keys().chain(off.groups.keys()).copied().collect();
            for value in values {
                let count = |hit: &Hit<'f>| hit.groups.get(value).copied().unwrap_or(0);
                let (there, whole) = (count(&hit) + count(off), self.groups.get(value).copied().unwrap_or(0));
                if !radius::within(there, whole, max.share.value) {
                    let group = radius::name(&max.of.value, value);
                    let per_cent = Share::from_fraction(radius::fraction(there, whole));
                    let per_cent = per_cent
                        .map_or_else(String::new, |share| format!(" ({:.0}%)", share.fraction() * 100.0));
                    let message = format!(
                        "takes {there} of {whole} hosts of {group}{per_cent} at once; the guard allows {}",
                        max.share.value
                    );
                    exceeded.push((message, self.guard.place_of(&max.at)));
                }
            }
        }
        for (role, keep) in &self.guard.value.keep {
            let count = |hit: &Hit<'f>| hit.roles.get(role.as_str()).copied().unwrap_or(0);
            let whole = self.roles.get(role.as_str()).copied().unwrap_or(0);
            let left = whole.saturating_sub(count(&hit) + count(off));
            if left < usize::try_from(keep.value).unwrap_or(usize::MAX) {
                let message = format!("leaves {left} hosts of role `{role}`; the guard keeps {}", keep.value);
                exceeded.push((message, self.guard.place_of(&keep.at)));
            }
        }
        exceeded
    }
}
