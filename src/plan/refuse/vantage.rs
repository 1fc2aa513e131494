//! Vantages under attack: they are shown and do not count, so every judged probe needs another one.

use std::collections::BTreeSet;

use crate::{
    plan::{model::COORDINATOR, resolve::Draft},
    scenario::{
        Scenario,
        diagnose::{Problem, Sink},
    },
};

pub(super) fn refuse(scenario: &Scenario, draft: &Draft, sink: &mut Sink) {
    for placed in &draft.attacks {
        let item = &scenario.attacks[placed.item];
        let hit: BTreeSet<&str> = placed.attack.injections.iter().map(|one| one.host.as_str()).collect();
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
            let (Some(planned), Some(said)) =
                (draft.probes.iter().find(|planned| planned.name == probe), scenario.probe(probe))
            else {
                continue;
            };
            let is_hit = |from: &&String| *from != COORDINATOR && hit.contains(from.as_str());
            let lost: Vec<&str> = planned.from.iter().filter(is_hit).map(String::as_str).collect();
            let on = item.place_of(&item.value.on.at);
            if lost.len() < planned.from.len() && !lost.is_empty() {
                let message = format!(
                    "attack `{}` hits a vantage of probe `{probe}`, whose samples do not count then: {}",
                    placed.attack.name,
                    lost.join(", ")
                );
                sink.push(Problem::warning(message).at(on, "attacks a witness"));
            } else if !lost.is_empty() {
                let which = planned.from.join(", ");
                sink.push(
                    Problem::error(format!(
                        "attack `{}` hits every vantage of probe `{probe}`: {which}",
                        placed.attack.name
                    ))
                    .at(on, "attacks its own witnesses")
                    .also(said.place_of_key("from"), "measured from here only")
                    .help("add a vantage that is not attacked, such as \"coordinator\""),
                );
            }
        }
    }
}
