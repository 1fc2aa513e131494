//! Refuses attacks on all vantages of a probe. Vantages under attack do not count, so every judged probe needs another one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    alike,
    diagnostic::{Problem, Sink},
    plan::{model::COORDINATOR, resolve::Draft},
    scenario::Scenario,
};

/// Checks the vantages of the probes by which each attack is judged.
pub(super) fn refuse(scenario: &Scenario, draft: &Draft, sink: &mut Sink) {
    // The indexes of the probes that run on a host, by the host's name.
    let mut vantages: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, planned) in draft.probes.iter().enumerate() {
        for from in planned.from.iter().filter(|from| *from != COORDINATOR) {
            vantages.entry(from).or_default().push(index);
        }
    }
    for placed in &draft.attacks {
        let item = &scenario.attacks[placed.item];
        // The vantages that the attack hits, by the index of their probe.
        let mut hit: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
        for injection in &placed.attack.injections {
            for index in vantages.get(injection.host.as_str()).into_iter().flatten() {
                hit.entry(*index).or_default().insert(&injection.host);
            }
        }
        if hit.is_empty() {
            continue;
        }
        let mut probes: Vec<&str> = placed
            .attack
            .judge
            .iter()
            .filter_map(|name| scenario.objective(name))
            .map(|objective| objective.value.probe.as_str())
            .collect();
        probes.sort_unstable();
        probes.dedup();
        for probe in probes {
            let index = draft.probes.iter().position(|planned| planned.name == probe);
            let (Some(index), Some(probe_item)) = (index, scenario.probe(probe)) else { continue };
            let planned = &draft.probes[index];
            let lost: Vec<&str> = hit.get(&index).into_iter().flatten().copied().collect();
            let on = item.place_of(&item.value.on.at);
            if lost.len() < planned.from.len() && !lost.is_empty() {
                let message = format!(
                    "attack `{}` hits a vantage of probe `{probe}`, whose samples do not count then: {}",
                    placed.attack.name,
                    alike::names(&lost)
                );
                sink.push(Problem::warning(message).at(on, "a vantage under attack does not count"));
            } else if !lost.is_empty() {
                let which = alike::names(&planned.from);
                sink.push(
                    Problem::error(format!(
                        "attack `{}` hits every vantage of probe `{probe}`: {which}",
                        placed.attack.name
                    ))
                    .at(on, "no vantage would count")
                    .also(probe_item.place_of_key("from"), "measured from here only")
                    .help("add a vantage that is not attacked, such as \"coordinator\""),
                );
            }
        }
    }
}
