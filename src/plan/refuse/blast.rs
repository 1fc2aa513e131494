//! The blast radius: how many hosts are under a fault at any instant, against what the guard allows.

use std::collections::{BTreeMap, BTreeSet};

use firedrill_wire::{Fault, Share};

use crate::{
    fleet::{Fleet, values_of},
    plan::{model, resolve::Draft},
    scenario::{
        Item, Scenario,
        diagnose::{Problem, Sink, suggest},
        guard::Guard,
    },
};

pub(super) fn refuse(scenario: &Scenario, fleet: &Fleet, draft: &Draft, sink: &mut Sink) {
    let Some(guard) = &scenario.guard else { return };
    if !labels_exist(guard, fleet, sink) {
        return;
    }
    // A host that was powered off stays so for the rest of the run.
    let mut off: BTreeSet<&str> = BTreeSet::new();
    for placed in &draft.attacks {
        let item = &scenario.attacks[placed.item];
        let mut said = BTreeSet::new();
        for mut hit in instants(&placed.attack) {
            hit.extend(&off);
            for (message, place) in exceeded(guard, fleet, &hit) {
                if said.insert(message.clone()) {
                    sink.push(
                        Problem::error(format!("attack `{}` {message}", placed.attack.name))
                            .at(item.place_of(&item.value.on.at), "too many at once")
                            .also(place, "the guard"),
                    );
                }
            }
        }
        let now_off =
            placed.attack.injections.iter().filter(|one| matches!(one.fault, Fault::HostPoweroff(_)));
        off.extend(now_off.map(|one| one.host.as_str()));
    }
}

fn labels_exist(guard: &Item<Guard>, fleet: &Fleet, sink: &mut Sink) -> bool {
    let mut well = true;
    if let Some(max) = &guard.value.max_share
        && max.of.value != "fleet"
        && groups(fleet, &max.of).is_empty()
    {
        let message = format!("no host has a label `{}`, so the guard would guard nothing", max.of.value);
        let help = suggest(&max.of, fleet.label_keys().into_iter().chain(["fleet"]), "labels");
        sink.push(
            Problem::error(message).at(guard.place_of(&max.of.at), "not a label in this fleet").help(help),
        );
        well = false;
    }
    let roles = groups(fleet, "role");
    for (role, count) in &guard.value.keep {
        let there = roles.get(role.as_str()).map_or(0, BTreeSet::len);
        let keep = usize::try_from(count.value).unwrap_or(usize::MAX);
        if there == 0 {
            let help = suggest(role, roles.keys().copied(), "roles");
            let problem = Problem::error(format!("no host has the role `{role}`, so there is none to keep"));
            sink.push(problem.at(guard.place_of_key(role), "not a role in this fleet").help(help));
            well = false;
        } else if there < keep {
            let message =
                format!("the guard keeps {keep} hosts of role `{role}`, and there are only {there}");
            sink.push(Problem::error(message).at(guard.place_of(&count.at), "more than there are"));
            well = false;
        }
    }
    well
}

/// The hosts under a fault at each instant at which another one begins.
fn instants(attack: &model::Attack) -> Vec<BTreeSet<&str>> {
    let starts: BTreeSet<_> = attack.injections.iter().map(|one| one.at).collect();
    let at = |instant| {
        let holds = attack.injections.iter().filter(move |one| {
            one.at <= instant && (instant < one.at + one.hold || matches!(one.fault, Fault::HostPoweroff(_)))
        });
        holds.map(|one| one.host.as_str()).collect()
    };
    starts.into_iter().map(at).collect()
}

/// Hosts by each value of a label.
fn groups<'f>(fleet: &'f Fleet, label: &str) -> BTreeMap<&'f str, BTreeSet<&'f str>> {
    let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for host in &fleet.hosts {
        if label == "fleet" {
            groups.entry("fleet").or_default().insert(&host.name);
        }
        for value in values_of(host, label) {
            groups.entry(value).or_default().insert(&host.name);
        }
    }
    groups
}

fn exceeded(
    guard: &Item<Guard>,
    fleet: &Fleet,
    hit: &BTreeSet<&str>,
) -> Vec<(String, crate::scenario::diagnose::Place)> {
    let mut all = Vec::new();
    if let Some(max) = &guard.value.max_share {
        for (value, hosts) in groups(fleet, &max.of) {
            let there = hosts.intersection(hit).count();
            if share(there, hosts.len()) > max.share.fraction() + 1e-9 {
                let group = if max.of.value == "fleet" {
                    "the fleet".to_owned()
                } else {
                    format!("{} `{value}`", max.of.value)
                };
                let per_cent = Share::from_fraction(share(there, hosts.len()));
                let per_cent =
                    per_cent.map_or_else(String::new, |share| format!(" ({:.0}%)", share.fraction() * 100.0));
                let message = format!(
                    "takes {there} of {} hosts of {group}{per_cent} at once; the guard allows {}",
                    hosts.len(),
                    max.share.value
                );
                all.push((message, guard.place_of(&max.at)));
            }
        }
    }
    let roles = groups(fleet, "role");
    for (role, keep) in &guard.value.keep {
        let left = roles.get(role.as_str()).map_or(0, |hosts| hosts.difference(hit).count());
        if left < usize::try_from(keep.value).unwrap_or(usize::MAX) {
            let message = format!("leaves {left} hosts of role `{role}`; the guard keeps {}", keep.value);
            all.push((message, guard.place_of(&keep.at)));
        }
    }
    all
}

fn share(part: usize, whole: usize) -> f64 {
    let float = |count: usize| u32::try_from(count).map_or(f64::MAX, f64::from);
    if whole == 0 { 0.0 } else { float(part) / float(whole) }
}
