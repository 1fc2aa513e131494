//! Refuses error budgets that mean nothing, and limits that no drill could show or miss.

use std::ops::Range;

use firedrill_wire::Span;

use crate::{
    diagnostic::{Item, Place, Problem, Sink, Spot},
    plan::{
        decide::{best_share, samples},
        model::Goal,
        timing,
    },
    scenario::{Scenario, attack::Attack, budget::Budget, metric::MetricObjective, objective::Objective},
};

/// A shorter window is worth a warning.
const SHORT: Span = Span::secs(86_400);

/// Checks the budget of every objective.
pub(super) fn refuse(scenario: &Scenario, sink: &mut Sink) {
    for item in &scenario.objectives {
        let Some(budget) = &item.value.budget else { continue };
        values(&item.name, budget, &|at| item.place_of(at), sink);
        if let Some(Goal::MitigateWithin(_) | Goal::RecoverWithin(_) | Goal::LostWrites(_)) =
            item.value.goal()
        {
            no_share(&item.name, item.place_of(&budget.at), "good = \"99%\", or quantile with below", sink);
        }
    }
    for item in &scenario.metrics {
        let Some(budget) = &item.value.budget else { continue };
        values(&item.name, budget, &|at| item.place_of(at), sink);
        if item.value.goal().is_some() && item.value.good.is_none() {
            let help = "good = \"99%\", with a metric of good and total";
            no_share(&item.name, item.place_of(&budget.at), help, sink);
        }
    }
}

/// Reports a budget of an objective whose goal is not a share.
fn no_share(objective: &str, place: Place, help: &str, sink: &mut Sink) {
    let message =
        format!("an error budget is a share of requests, and objective `{objective}` is about none");
    sink.push(Problem::error(message).at(place, "no share to count").help(help));
}

/// Reports values of a budget that make no sense.
fn values(
    objective: &str,
    budget: &Spot<Budget>,
    place_of: &dyn Fn(&Range<usize>) -> Place,
    sink: &mut Sink,
) {
    let Budget { target, window, affected, burn_below } = &budget.value;
    if target.fraction() >= 1.0 {
        let problem = Problem::error("a target of 100% leaves no error budget");
        sink.push(problem.at(place_of(&target.at), "allows no failure").help("for example \"99.9%\""));
    } else if target.is_none() {
        let problem = Problem::error("a target of 0% allows every failure");
        sink.push(problem.at(place_of(&target.at), "never used up").help("for example \"99.9%\""));
    }
    if window.is_zero() {
        let problem = Problem::error(format!("the error budget of `{objective}` has no time"));
        sink.push(problem.at(place_of(&window.at), "zero").help("30d is usual"));
    } else if window.value < SHORT {
        let problem = Problem::warning(format!("the error budget of `{objective}` is over {}", window.value));
        sink.push(problem.at(place_of(&window.at), "unusually short").help("30d is usual"));
    }
    if affected.is_none() {
        let problem = Problem::error("a drill that reaches none of the users burns nothing");
        let help = "leave it out if the probe stands for all users";
        sink.push(problem.at(place_of(&affected.at), "nobody").help(help));
    }
    if let Some(limit) = burn_below.as_ref().filter(|limit| limit.is_none()) {
        let problem = Problem::error("nothing burns less than 0% of a budget");
        sink.push(problem.at(place_of(&limit.at), "never met").help("for example \"5%\""));
    }
}

/// Checks the limits of an attack's objectives: whether its requests can show them, and whether a total outage would miss them.
pub(super) fn refuse_attack(attack: &Item<Attack>, scenario: &Scenario, sink: &mut Sink) {
    let timing = timing::timing(attack, scenario);
    let Some(hold) = timing.hold else { return };
    // The settle phase may end at once, so it is not counted.
    let time: Span = [hold, timing.recovery].into_iter().sum();
    for name in timing::judged(attack, scenario) {
        if let Some(item) = scenario.objective(name) {
            probed(attack, item, scenario, time, sink);
        } else if let Some(item) = scenario.metric(name) {
            metric(attack, item, time, sink);
        }
    }
}

/// Whether the formula of a budget can be calculated.
fn sound(budget: &Budget) -> bool {
    let target = budget.target.fraction();
    target > 0.0 && target < 1.0 && !budget.window.is_zero() && !budget.affected.is_none()
}

/// Checks the limit of an objective that a probe measures.
fn probed(attack: &Item<Attack>, item: &Item<Objective>, scenario: &Scenario, time: Span, sink: &mut Sink) {
    let own = &item.value;
    let Some((budget, limit)) = limit(own.budget.as_ref()) else { return };
    let place = item.place_of(&limit.at);
    out_of_reach(attack, &item.name, budget, limit, (time, place.clone()), sink);
    let Some(probe) = scenario.probe(&own.probe) else { return };
    let rate = probe.value.rate.value;
    if rate.is_nan() || rate <= 0.0 {
        return;
    }
    let count = samples(rate, time, probe.value.arrivals);
    let shown = budget.planned().burnt(1.0 - best_share(count), time);
    if shown >= limit.fraction() {
        let message = format!(
            "attack `{}` cannot show that it burns less than {} of the budget of `{}`: {count} requests in {time}, all of them good, \
             show less than {:.3}%",
            attack.name,
            limit.value,
            item.name,
            // Rounded up, so that the requests do show less than this.
            (shown * 100_000.0).ceil() / 1000.0
        );
        let help = format!("a higher `burn_below`, or a higher rate of probe `{}`", probe.name);
        sink.push(
            Problem::error(message)
                .at(place, "too few requests")
                .also(attack.place(), "the attack")
                .help(help),
        );
    }
}

/// Checks the limit of an objective that a source measures.
fn metric(attack: &Item<Attack>, item: &Item<MetricObjective>, time: Span, sink: &mut Sink) {
    let Some((budget, limit)) = limit(item.value.budget.as_ref()) else { return };
    out_of_reach(attack, &item.name, budget, limit, (time, item.place_of(&limit.at)), sink);
}

/// Returns a budget and its limit; `None` if it has none, or if one of them makes no sense.
fn limit(budget: Option<&Spot<Budget>>) -> Option<(&Budget, &Spot<firedrill_wire::Share>)> {
    let budget = &budget.filter(|budget| sound(&budget.value))?.value;
    Some((budget, budget.burn_below.as_ref().filter(|limit| !limit.is_none())?))
}

/// Warns of a limit that not even a total outage would miss.
fn out_of_reach(
    attack: &Item<Attack>,
    objective: &str,
    budget: &Budget,
    limit: &Spot<firedrill_wire::Share>,
    (time, place): (Span, Place),
    sink: &mut Sink,
) {
    let most = budget.planned().burnt(1.0, time);
    if most < limit.fraction() {
        let message = format!(
            "attack `{}` can never violate `{objective}` by its budget: a total outage of {time} burns {:.3}% of it",
            attack.name,
            most * 100.0
        );
        let help = format!("less than {:.3}%, or leave it out to see the figure alone", most * 100.0);
        sink.push(
            Problem::warning(message)
                .at(place, "has no effect")
                .also(attack.place(), "the attack")
                .help(help),
        );
    }
}
