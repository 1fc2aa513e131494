//! Refuses names that refer to nothing, and names that two objectives have.

use std::collections::BTreeMap;

use crate::{
    diagnostic::{Item, Place, Problem, Sink, nearest, suggest},
    fleet::Fleet,
    plan::model::COORDINATOR,
    scenario::{Scenario, attack::Attack},
};

/// Refuses a name that objectives of two forms have. Within one form, reading refuses it already.
fn twice(scenario: &Scenario, sink: &mut Sink) {
    let mut seen: BTreeMap<&str, Place> = BTreeMap::new();
    for (name, place) in scenario.objective_places() {
        match seen.get(name) {
            Some(first) => sink.push(
                Problem::error(format!("there are two objectives `{name}`"))
                    .at(place, "again here")
                    .also(first.clone(), "the other"),
            ),
            None => _ = seen.insert(name, place),
        }
    }
}

/// Checks every name that a scenario refers to; without a fleet, names of hosts are not checked.
pub(super) fn refuse(scenario: &Scenario, fleet: Option<&Fleet>, sink: &mut Sink) {
    twice(scenario, sink);
    let lost = scenario.lost.iter().map(String::as_str);
    let probes = scenario.probes.iter().map(|probe| probe.name.as_str()).chain(lost.clone());
    let probes: Vec<&str> = probes.collect();
    for objective in &scenario.objectives {
        let probe = &objective.value.probe;
        known(probe, &probes, "probe", objective.place_of(&probe.at), sink);
    }
    let objectives: Vec<&str> = scenario.all_objectives().chain(lost.clone()).collect();
    if let Some(guard) = &scenario.guard {
        for abort in &guard.value.abort {
            if let Some(probe) = &abort.probe {
                known(probe, &probes, "probe", guard.place_of(&probe.at), sink);
            }
            if let Some(objective) = &abort.objective {
                known(objective, &objectives, "objective", guard.place_of(&objective.at), sink);
            }
        }
    }
    let sources: Vec<&str> =
        scenario.sources.iter().map(|source| source.name.as_str()).chain(lost.clone()).collect();
    for metric in &scenario.metrics {
        let source = &metric.value.metric.source;
        known(source, &sources, "source", metric.place_of(&source.at), sink);
    }
    for alert in &scenario.alerts {
        let source = &alert.value.alert.source;
        known(source, &sources, "source", alert.place_of(&source.at), sink);
    }
    let logs: Vec<&str> = scenario.logs.iter().map(|log| log.name.as_str()).chain(lost).collect();
    for objective in &scenario.log_objectives {
        let log = &objective.value.logs;
        known(log, &logs, "log", objective.place_of(&log.at), sink);
    }
    for log in &scenario.logs {
        host_or_target(scenario, fleet, &log.value.on, log.place_of(&log.value.on.at), "on", sink);
    }
    if let Some(defaults) = &scenario.attack_defaults {
        for name in defaults.value.judge.iter().flatten() {
            known(name, &objectives, "objective", defaults.place_of(&name.at), sink);
        }
    }
    for (index, attack) in scenario.attacks.iter().enumerate() {
        for name in attack.value.judge.iter().flatten() {
            known(name, &objectives, "objective", attack.place_of(&name.at), sink);
        }
        needs(scenario, index, attack, sink);
        host_or_target(scenario, fleet, &attack.value.on, attack.place_of(&attack.value.on.at), "on", sink);
        for_each(scenario, attack, sink);
    }
    for probe in &scenario.probes {
        for vantage in probe.value.from.iter().filter(|vantage| vantage.value != COORDINATOR) {
            host_or_target(scenario, fleet, vantage, probe.place_of(&vantage.at), "from", sink);
        }
    }
    for target in scenario.targets.iter().filter(|target| target.name == COORDINATOR) {
        let message = "a target cannot be called `coordinator`, the name of a vantage";
        sink.push(Problem::error(message).at(target.place(), "another name"));
    }
}

/// Refuses a name that is not among `all` names; `what` is the kind of thing that it should name, in the singular.
pub fn known(name: &str, all: &[&str], what: &str, place: Place, sink: &mut Sink) {
    if !all.contains(&name) {
        let help = suggest(name, all.iter().copied(), &format!("{what}s"));
        sink.push(
            Problem::error(format!("there is no {what} `{name}`")).at(place, "refers to nothing").help(help),
        );
    }
}

/// Refuses a name that is neither a target's nor a host's.
fn host_or_target(
    scenario: &Scenario,
    fleet: Option<&Fleet>,
    name: &str,
    place: Place,
    key: &str,
    sink: &mut Sink,
) {
    let lost = scenario.lost.iter().map(String::as_str);
    let targets = scenario.targets.iter().map(|target| target.name.as_str()).chain(lost);
    if targets.clone().any(|target| target == name) {
        return;
    }
    let Some(fleet) = fleet else {
        // It may be a host's name, so only a probable typing error is worth a warning.
        if let Some(near) = nearest(name, targets) {
            let message = format!("there is no target `{name}`; hosts were not checked");
            sink.push(Problem::warning(message).at(place, key).help(format!("did you mean `{near}`?")));
        }
        return;
    };
    if fleet.host(name).is_none() {
        let hosts = fleet.hosts.iter().map(|host| host.name.as_str());
        let help = suggest(name, targets.chain(hosts), "targets and hosts");
        let message = format!("there is no target or host `{name}`");
        sink.push(Problem::error(message).at(place, "refers to nothing").help(help));
    }
}

/// Refuses `needs` of an attack that do not name earlier attacks.
fn needs(scenario: &Scenario, index: usize, attack: &Item<Attack>, sink: &mut Sink) {
    for name in &attack.value.needs {
        let place = attack.place_of(&name.at);
        let other = scenario.attacks.iter().position(|attack| attack.name == name.value);
        let problem = match other {
            Some(other) if other < index => continue,
            Some(other) if other == index => {
                Problem::error("an attack cannot need itself").at(place, "itself")
            }
            Some(other) => {
                Problem::error(format!("attack `{}` needs `{}`, which comes later", attack.name, name.value))
                    .at(place, "not run by then")
                    .also(scenario.attacks[other].place(), "comes here")
                    .help("attacks run in the file's order: move it up")
            }
            None => {
                let all = scenario.attacks[..index].iter().map(|attack| attack.name.as_str());
                Problem::error(format!("there is no attack `{}`", name.value))
                    .at(place, "refers to nothing")
                    .help(suggest(name, all, "earlier attacks"))
            }
        };
        sink.push(problem);
    }
}

/// Refuses `for_each` of an attack if its target has no groups, or if it names something else.
fn for_each(scenario: &Scenario, attack: &Item<Attack>, sink: &mut Sink) {
    let Some(for_each) = &attack.value.for_each else { return };
    let place = attack.place_of(&for_each.at);
    let on = &attack.value.on;
    let Some(target) = scenario.target(on) else {
        if scenario.target(for_each).is_some() {
            let problem = Problem::error("an attack with `for_each` must be `on` the target with the groups");
            sink.push(
                problem
                    .at(attack.place_of(&on.at), "not a target")
                    .help(format!("on = \"{}\"", for_each.value)),
            );
        }
        return;
    };
    let group_by = target.value.group_by.as_ref();
    if for_each.value != target.name && group_by.is_none_or(|label| label.value != for_each.value) {
        sink.push(
            Problem::error(format!(
                "`for_each` must name the attack's own target `{}` or its `group_by`",
                target.name
            ))
            .at(place, "not that target")
            .help(format!("for_each = \"{}\"", target.name)),
        );
    } else if group_by.is_none() && target.value.pick_by.is_none() && !target.broken {
        sink.push(
            Problem::error(format!("target `{}` has no groups to go through", target.name))
                .at(place, "needs groups")
                .also(target.place(), "has no group_by")
                .help("for example group_by = \"zone\""),
        );
    }
}
