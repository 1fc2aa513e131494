//! Resolves selectors to hosts. The same seed picks the same hosts, also when hosts that were not picked leave the fleet.

use std::collections::{BTreeMap, HashSet};

use ring::digest::{Context, SHA256};

use super::model::Host;
use crate::{
    alike,
    diagnostic::{Item, Problem, Sink, suggest},
    fleet::{Fleet, values_of},
    scenario::target::{Pick, Target},
};

/// The hosts that a target picked: in one group without a name, or in groups by the value of a label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// Names of hosts, by the group's name.
    pub groups: BTreeMap<String, Vec<String>>,
}

impl Selected {
    /// Returns all hosts of all groups.
    #[must_use]
    pub fn hosts(&self) -> Vec<&str> {
        self.groups.values().flatten().map(String::as_str).collect()
    }
}

/// Maximum number of unknown values of a clause that are reported one by one, with a suggestion.
const SUGGESTED: usize = 20;

/// Returns the hosts that a target selects; problems go to `sink`.
pub(crate) fn select(target: &Item<Target>, fleet: &Fleet, seed: u64, sink: &mut Sink) -> Selected {
    if !clauses_can_match(target, fleet, sink) {
        return Selected::default();
    }
    let matching = may_pick(&target.value, fleet);
    if matching.is_empty() {
        sink.push(
            Problem::error(format!("target `{}` is empty: no host matches all its clauses", target.name))
                .at(target.place_of_key("where"), "matches no host")
                .help("each clause alone matches some host; together they match none"),
        );
        return Selected::default();
    }
    let mut groups: BTreeMap<String, Vec<&Host>> = BTreeMap::new();
    let mut without: Vec<&str> = Vec::new();
    for host in matching {
        let values = target.value.group_by.as_ref().map(|label| values_of(host, label));
        match values.as_deref() {
            None => groups.entry(String::new()).or_default().push(host),
            Some([value]) => groups.entry((*value).to_owned()).or_default().push(host),
            Some(_) => without.push(&host.name),
        }
    }
    if let Some(label) = target.value.group_by.as_ref().filter(|_| !without.is_empty()) {
        let message = format!(
            "hosts without exactly one `{}` to group them by: {}",
            label.value,
            alike::names(&without)
        );
        sink.push(Problem::error(message).at(target.place_of(&label.at), "makes the groups").help(suggest(
            label,
            fleet.label_keys().into_iter().filter(|key| *key != label.value),
            "labels",
        )));
    }
    let groups = groups.into_iter().map(|(name, hosts)| {
        let wanted = wanted(target, hosts.len(), sink);
        (name, pick(seed, &target.name, &hosts, wanted))
    });
    Selected { groups: groups.collect() }
}

/// Returns the hosts that match a target's clauses, from which a seed picks.
pub(crate) fn may_pick<'f>(target: &Target, fleet: &'f Fleet) -> Vec<&'f Host> {
    let clauses: Vec<(&str, HashSet<&str>)> = target
        .clauses
        .iter()
        .map(|(key, values)| (key.as_str(), values.0.iter().map(String::as_str).collect()))
        .collect();
    fleet.hosts.iter().filter(|host| matches(host, &clauses)).collect()
}

/// Whether each clause of a target matches some host by each of its values; reports those that match none.
fn clauses_can_match(target: &Item<Target>, fleet: &Fleet, sink: &mut Sink) -> bool {
    let mut can_match = true;
    for (key, values) in &target.value.clauses {
        let known: HashSet<&str> = fleet.hosts.iter().flat_map(|host| values_of(host, key)).collect();
        if known.is_empty() {
            sink.push(
                Problem::error(format!("no host has a label `{key}`"))
                    .at(target.place_of_key(key), "not a label in this fleet")
                    .help(suggest(key, fleet.label_keys(), "labels")),
            );
            can_match = false;
            continue;
        }
        let unknown: Vec<&str> =
            values.0.iter().map(String::as_str).filter(|value| !known.contains(value)).collect();
        let (each, rest) = unknown.split_at(unknown.len().min(SUGGESTED));
        for value in each {
            sink.push(
                Problem::error(format!("no host has {key} `{value}`"))
                    .at(target.place_of_value(value), "matches no host")
                    .help(suggest(value, known.iter().copied(), &format!("values of {key}"))),
            );
        }
        if !rest.is_empty() {
            let message =
                format!("no host has any of {} more values of {key}: {}", rest.len(), alike::names(rest));
            sink.push(Problem::error(message).at(target.place_of_key(key), "match no host"));
        }
        can_match &= unknown.is_empty();
    }
    can_match
}

/// Whether a host has a wanted value for each key.
fn matches(host: &Host, clauses: &[(&str, HashSet<&str>)]) -> bool {
    clauses.iter().all(|(key, values)| values_of(host, key).iter().any(|own| values.contains(own)))
}

/// Returns the number of hosts that a target picks from `there` hosts; reports a number that is too large.
fn wanted(target: &Item<Target>, there: usize, sink: &mut Sink) -> usize {
    match target.value.pick() {
        Pick::All => there,
        Pick::Share(share) => share_of(share.fraction(), there),
        Pick::Count(count) => {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            if count > there {
                let place = target.value.pick.as_ref().map(|pick| target.place_of(&pick.at));
                let message = format!("target `{}` picks {count} of {there} hosts", target.name);
                sink.push(
                    Problem::error(message)
                        .at(place.unwrap_or_else(|| target.place()), "more than there are")
                        .help(format!("at most {there}, or \"all\"")),
                );
            }
            count.min(there)
        }
    }
}

/// Returns a share of `there`, rounded up, at least one.
fn share_of(fraction: f64, there: usize) -> usize {
    let exact = |count: usize| u32::try_from(count).map_or(f64::MAX, f64::from);
    (1..=there).find(|count| exact(*count) + 1e-9 >= fraction * exact(there)).unwrap_or(there)
}

/// Picks `count` hosts, in the fleet's order: those with the lowest hash of seed, target and name.
fn pick(seed: u64, target: &str, hosts: &[&Host], count: usize) -> Vec<String> {
    let picked = lowest(seed, target, hosts.iter().map(|host| host.name.as_str()), count);
    picked.into_iter().map(|index| hosts[index].name.clone()).collect()
}

/// Returns the indexes of the `count` names with the lowest hash of the seed, `salt` and the name, in ascending order.
pub(super) fn lowest<'n>(
    seed: u64,
    salt: &str,
    names: impl Iterator<Item = &'n str>,
    count: usize,
) -> Vec<usize> {
    let mut ranked: Vec<([u8; 32], usize)> =
        names.enumerate().map(|(index, name)| (rank(seed, salt, name), index)).collect();
    ranked.sort_unstable();
    let mut lowest: Vec<usize> = ranked.into_iter().take(count).map(|(_, index)| index).collect();
    lowest.sort_unstable();
    lowest
}

/// Returns a number that depends only on the seed, `salt` and the name.
pub(crate) fn key(seed: u64, salt: &str, name: &str) -> u64 {
    rank(seed, salt, name).iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte))
}

/// Returns the key of the random moments of a probe at a vantage. Each run, probe and vantage has its own; the log
/// contains everything that it is derived from.
#[must_use]
pub fn arrivals_key(seed: u64, run: &str, probe: &str, vantage: &str) -> u64 {
    key(seed, &format!("{run} {probe}"), vantage)
}

/// Returns a host's rank in an order that depends only on the seed and `salt`.
pub(crate) fn rank(seed: u64, salt: &str, host: &str) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    hash.update(&seed.to_le_bytes());
    hash.update(salt.as_bytes());
    hash.update(&[0]);
    hash.update(host.as_bytes());
    let mut rank = [0; 32];
    rank.copy_from_slice(hash.finish().as_ref());
    rank
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn host(name: String) -> Host {
        Host {
            name,
            addresses: vec![],
            labels: BTreeMap::new(),
            roles: vec![],
            tags: vec![],
            agent: crate::plan::model::Reach::Tcp(String::new()),
            via: None,
        }
    }

    #[test]
    fn shares_round_up() {
        assert_eq!([share_of(0.5, 4), share_of(0.5, 5), share_of(0.01, 7), share_of(1.0, 3)], [2, 3, 1, 3]);
    }

    proptest! {
        #[test]
        fn picks_repeat_and_survive_changes_of_the_fleet(seed: u64, size in 2_usize..20, count in 1_usize..8) {
            let hosts: Vec<Host> = (0..size).map(|n| host(format!("h{n}"))).collect();
            let all: Vec<&Host> = hosts.iter().collect();
            let picked = pick(seed, "t", &all, count);
            prop_assert_eq!(&pick(seed, "t", &all, count), &picked);
            // If a host that was not picked leaves, the picks stay the same. The order in the fleet does not matter
            // either.
            let mut fewer: Vec<&Host> = all.iter().copied().enumerate()
                .filter(|(i, host)| picked.contains(&host.name) || i % 2 == 0).map(|(_, host)| host).collect();
            let mut again = pick(seed, "t", &fewer, count);
            prop_assert_eq!(&again, &picked);
            fewer.reverse();
            again = pick(seed, "t", &fewer, count);
            again.sort();
            let mut sorted = picked;
            sorted.sort();
            prop_assert_eq!(again, sorted);
        }
    }
}
