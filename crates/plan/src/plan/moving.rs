//! Makes the plan's targets that move: the question, and the hosts that may be the leader. Sends no request.

use std::collections::BTreeMap;

use super::{model, select::Selected};
use crate::{fleet::Fleet, scenario::Scenario};

/// Returns the targets with `pick_by` that attacks are on. Those without a valid question are left out.
pub(super) fn all(
    scenario: &Scenario,
    fleet: &Fleet,
    selected: &BTreeMap<String, Selected>,
) -> Vec<model::Moving> {
    let used = |name: &str| scenario.attacks.iter().any(|attack| attack.value.on.value == name);
    let moving = |target: &crate::diagnostic::Item<crate::scenario::target::Target>| {
        let by = &target.value.pick_by.as_ref()?.value;
        let hosts = selected.get(&target.name)?.hosts().into_iter().filter_map(|name| fleet.host(name));
        let candidate = |host: &model::Host| model::Candidate {
            host: host.name.clone(),
            addresses: host.addresses.clone(),
        };
        Some(model::Moving {
            target: target.name.clone(),
            ask: by.ask()?,
            timeout: by.timeout.value,
            candidates: hosts.map(candidate).collect(),
        })
    };
    scenario.targets.iter().filter(|target| used(&target.name)).filter_map(moving).collect()
}

#[cfg(test)]
mod tests;
