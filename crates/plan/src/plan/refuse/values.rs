//! Invalid values: goals, conditions of guards, leases.

use firedrill_wire::Span;

use crate::{
    diagnostic::{Item, Problem, Sink, Spot},
    plan::model::{Goal, Phase},
    scenario::{
        Scenario,
        guard::{Abort, Guard},
        objective::Objective,
    },
};

/// Checks the values that have bounds of their own, whatever the attacks are.
pub(super) fn refuse(scenario: &Scenario, sink: &mut Sink) {
    scenario.objectives.iter().for_each(|item| objective(item, sink));
    guard(scenario, sink);
    for target in &scenario.targets {
        for (key, values) in target.value.clauses.iter().filter(|(_, values)| values.0.is_empty()) {
            let message =
                format!("`{key}` of target `{}` lists no value, so it matches no host", target.name);
            sink.push(Problem::error(message).at(target.place_of(&values.at), "empty"));
        }
    }
    if let Some(lease) = &scenario.lease {
        if lease.value < Span::secs(2) {
            let message = format!("a lease of {} would end between two renewals", lease.value);
            sink.push(
                Problem::error(message).at(lease.place(), "too short").help("at least 2s; 10s is usual"),
            );
        } else if lease.value > Span::secs(60) {
            let message = format!("if its coordinator dies, a fault stays for the lease of {}", lease.value);
            sink.push(Problem::warning(message).at(lease.place(), "unusually long"));
        }
    }
}

/// Refuses phases of an objective for a metric or a log in which it is not judged.
pub(super) fn phases<T>(item: &Item<T>, during: &Spot<Vec<Phase>>, sink: &mut Sink) {
    let wrong = if during.is_empty() {
        Some(("is judged in no phase", "empty"))
    } else {
        during.contains(&Phase::Settle).then_some(("is judged while the system settles", "not judged"))
    };
    if let Some((what, label)) = wrong {
        let problem = Problem::error(format!("objective `{}` {what}", item.name));
        sink.push(problem.at(item.place_of(&during.at), label).help("baseline, fault, recovery"));
    }
}

/// Checks the goal and the phases of an objective for a probe.
fn objective(item: &Item<Objective>, sink: &mut Sink) {
    let objective = &item.value;
    if objective.goal().is_none() && !item.broken {
        let (message, label) = match (&objective.quantile, &objective.below) {
            (Some(_), None) => ("a quantile wants `below`", "of what time?"),
            (None, Some(_)) => ("`below` wants a quantile", "of which quantile?"),
            _ => ("an objective has exactly one goal", "none, or several"),
        };
        sink.push(
            Problem::error(format!("{message} (objective `{}`)", item.name))
                .at(item.place(), label)
                .help("one of: good; quantile with below; mitigate_within; recover_within; lost_writes"),
        );
    }
    if let Some(quantile) = &objective.quantile
        && !(quantile.value > 0.0 && quantile.value < 1.0)
    {
        let problem = Problem::error(format!("a quantile is between 0 and 1, not {}", quantile.value));
        sink.push(
            problem.at(item.place_of(&quantile.at), "not a quantile").help("0.99 is the 99th percentile"),
        );
    }
    if let Some(good_at) = &objective.good_at {
        if !(0.01..=0.999).contains(&good_at.fraction()) {
            let problem = Problem::error(format!("`good_at` of {} cannot be shown", good_at.value));
            sink.push(
                problem.at(item.place_of(&good_at.at), "from \"1%\" to \"99.9%\"").help("\"90%\" is usual"),
            );
        } else if objective.mitigate_within.is_none() && objective.recover_within.is_none() {
            let problem =
                Problem::warning("`good_at` applies only to `mitigate_within` and `recover_within`");
            sink.push(problem.at(item.place_of(&good_at.at), "has no effect"));
        }
    }
    if let Some(during) = &objective.during
        && during.is_empty()
    {
        let problem = Problem::error(format!("objective `{}` is judged in no phase", item.name));
        sink.push(problem.at(item.place_of(&during.at), "empty").help("baseline, fault, recovery"));
    }
    if let Some(during) = &objective.during
        && during.contains(&Phase::Settle)
    {
        let message = format!("objective `{}` is judged while the system settles", item.name);
        sink.push(
            Problem::error(message)
                .at(
                    item.place_of(&during.at),
                    "the run waits until the system has settled; this phase is not judged",
                )
                .help("baseline, fault, recovery; give a longer `recovery` to a slow system"),
        );
    }
    for span in
        [&objective.below, &objective.mitigate_within, &objective.recover_within].into_iter().flatten()
    {
        if span.is_zero() {
            sink.push(Problem::error("a time of zero cannot be met").at(item.place_of(&span.at), "zero"));
        }
    }
}

/// Checks that a condition is about a probe or an objective, and that a moving window can violate the objective.
fn condition(item: &Item<Guard>, abort: &Spot<Abort>, scenario: &Scenario, sink: &mut Sink) {
    const FORMS: &str = "{ probe = \"buy\", good_below = \"50%\", over = \"5s\" }, or { objective = \"errors\", over = \"10s\" }";
    let place = item.place_of(&abort.at);
    match (&abort.probe, &abort.good_below, &abort.objective) {
        (Some(_), Some(_), None) | (None, None, Some(_)) => {}
        _ if item.broken => {}
        (None, None, None) => {
            sink.push(
                Problem::error("a guard's condition is about nothing")
                    .at(place, "no probe, no objective")
                    .help(FORMS),
            );
        }
        (_, _, Some(_)) => {
            sink.push(
                Problem::error("a guard's condition is about a probe or an objective, not both")
                    .at(place, "both")
                    .help(FORMS),
            );
        }
        _ => {
            sink.push(
                Problem::error("`probe` and `good_below` belong together")
                    .at(place, "one of them is missing")
                    .help(FORMS),
            );
        }
    }
    if let Some((name, alert)) = abort.objective.as_ref().and_then(|name| Some((name, scenario.alert(name)?)))
    {
        let message =
            format!("objective `{}` is about one time, which no moving window can show", alert.name);
        sink.push(
            Problem::error(message)
                .at(item.place_of(&name.at), "no guard")
                .help("an objective by `good`, by latency or for a metric"),
        );
    }
    let measured = abort.objective.as_ref().and_then(|name| scenario.metric(name));
    if let Some(metric) = measured.filter(|metric| metric.value.increase_below.is_some()) {
        let every = metric.value.metric.value.every.value;
        let least = every + every;
        if abort.over.value < least {
            let message = format!(
                "the increase of `{}` over {} is that between fewer than two samples, one each {every}",
                metric.name, abort.over.value
            );
            let problem = Problem::error(message).at(item.place_of(&abort.over.at), "never aborts");
            sink.push(problem.help(format!("over = \"{least}\" at least, or a shorter `every`")));
        }
    }
    let logged = abort.objective.as_ref().and_then(|name| Some((name, scenario.log_objective(name)?)));
    if let Some((name, objective)) = logged {
        let message = format!("objective `{}` counts lines of logs, which no guard does", objective.name);
        sink.push(
            Problem::error(message)
                .at(item.place_of(&name.at), "no guard")
                .help("an objective by `good`, by latency or for a metric"),
        );
    }
    let probed = abort.objective.as_ref().and_then(|name| Some((name, scenario.objective(name)?)));
    if let Some((name, objective)) = probed
        && matches!(
            objective.value.goal(),
            Some(Goal::MitigateWithin(_) | Goal::RecoverWithin(_) | Goal::LostWrites(_))
        )
    {
        let message =
            format!("objective `{}` is about one time, which no moving window can show", objective.name);
        sink.push(
            Problem::error(message)
                .at(item.place_of(&name.at), "no guard")
                .help("an objective by `good`, by latency or for a metric; for a probe, `good_below`"),
        );
    }
}

/// Checks the values of the guard.
fn guard(scenario: &Scenario, sink: &mut Sink) {
    let Some(item) = &scenario.guard else { return };
    for abort in &item.value.abort {
        if abort.over.value < Span::secs(1) {
            let problem =
                Problem::error("a guard's window is at least 1s, because probes are counted by the second");
            sink.push(problem.at(item.place_of(&abort.over.at), "too short"));
        }
        if let Some(good_below) = abort.good_below.as_ref().filter(|share| share.fraction() <= 0.0) {
            let problem = Problem::error("less than 0 % can never be good, so this guard never aborts");
            sink.push(problem.at(item.place_of(&good_below.at), "never"));
        }
        condition(item, abort, scenario, sink);
    }
    if let Some(blind) = &item.value.blind_for {
        if blind.value < Span::secs(2) {
            let message = "a guard that aborts after less than 2s of blindness aborts by chance";
            sink.push(Problem::error(message).at(item.place_of(&blind.at), "too short"));
        } else if item.value.abort.is_empty() {
            let message = "`blind_for` applies only to conditions in `abort`, and there are none";
            sink.push(Problem::warning(message).at(item.place_of(&blind.at), "has no effect"));
        }
    }
}
