//! Objectives that the planned rate and times cannot decide.

use firedrill_wire::Span;

use crate::{
    plan::{
        decide::{WINDOW, best_share, rate_for, samples, samples_to_decide, time_for},
        model::{Goal, Phase},
        timing::{self, Timing},
    },
    scenario::{
        Item, Scenario,
        attack::Attack,
        diagnose::{Problem, Sink},
        objective::Objective,
    },
};

pub(super) fn refuse(attack: &Item<Attack>, scenario: &Scenario, sink: &mut Sink) {
    let judged = timing::judged(attack, scenario);
    let nothing_to_judge_by = scenario.objectives.is_empty() && scenario.lost.is_empty();
    if judged.is_empty() && !attack.broken && (nothing_to_judge_by || attack.value.judge.is_some()) {
        sink.push(
            Problem::error(format!("attack `{}` is judged by nothing", attack.name))
                .at(attack.place(), "no objective")
                .help("define and judge by an objective: without one, nothing can be said to have held"),
        );
    }
    let timing = timing::timing(attack, scenario);
    for name in judged {
        if let Some(objective) = scenario.objective(name) {
            decidable(attack, objective, &timing, scenario, sink);
        }
    }
}

fn decidable(
    attack: &Item<Attack>,
    objective: &Item<Objective>,
    timing: &Timing,
    scenario: &Scenario,
    sink: &mut Sink,
) {
    let own = &objective.value;
    let (Some(goal), Some(probe), Some(hold)) = (own.goal(), scenario.probe(&own.probe), timing.hold) else {
        return;
    };
    let rate = probe.value.rate.value;
    let needed = samples_to_decide(&goal);
    if let Goal::Good(share) = goal
        && needed == u64::MAX
    {
        // Said once, not for every attack.
        if scenario.attacks.first().is_some_and(|first| first.name == attack.name) {
            let place =
                own.good.as_ref().map_or_else(|| objective.place(), |good| objective.place_of(&good.at));
            sink.push(
                Problem::error(format!("no number of samples can show {share}"))
                    .at(place, "cannot be shown")
                    .help("for example \"99.9%\", which 2703 good samples show"),
            );
        }
        return;
    }
    if rate.is_nan() || rate <= 0.0 || needed == u64::MAX {
        return;
    }
    let (time, key) = time_of(&goal, &own.during(), hold, timing);
    let there = samples(rate, time);
    if there >= needed {
        return;
    }
    let problem = match &goal {
        Goal::Good(share) => format!(
            "{rate} a second × {time} = {there} samples at a vantage can show {:.2}% at best, not {share}; {needed} are needed",
            best_share(there) * 100.0
        ),
        Goal::Latency { quantile, .. } => format!(
            "{rate} a second × {time} = {there} samples at a vantage cannot show the {quantile} quantile; {needed} are needed"
        ),
        Goal::MitigateWithin(_) | Goal::RecoverWithin(_) => format!(
            "{rate} a second give {there} samples in {time}, too few to tell when all is good again; {needed} are needed"
        ),
    };
    let rate_help = format!("rate = {} (probe `{}`)", rate_for(needed, time), probe.name);
    let help = match key {
        Some(key) => format!("{rate_help} or {key} = \"{}\" would do", time_for(needed, rate)),
        None => format!("{rate_help} would do"),
    };
    let at = super::time::place_of(attack, scenario, key.unwrap_or("hold"));
    sink.push(
        Problem::error(format!("attack `{}` cannot decide `{}`: {problem}", attack.name, objective.name))
            .at(at, "too few samples")
            .also(objective.place(), "what it is to show")
            .help(help),
    );
}

/// In how long the samples must come, and the key of the attack that makes it longer. Where the fault's own phase counts,
/// it must be enough by itself: what is seen afterwards says nothing about how it was meanwhile.
fn time_of(goal: &Goal, during: &[Phase], hold: Span, timing: &Timing) -> (Span, Option<&'static str>) {
    match goal {
        Goal::MitigateWithin(_) | Goal::RecoverWithin(_) => (WINDOW, None),
        _ if during.contains(&Phase::Fault) => (hold, Some("hold")),
        _ => {
            let length = |phase: &Phase| match phase {
                Phase::Baseline => timing.baseline,
                Phase::Fault => hold,
                Phase::Recovery => timing.recovery,
                Phase::Settle => timing.settle,
            };
            let key = if during.contains(&Phase::Recovery) { Some("recovery") } else { Some("baseline") };
            (during.iter().map(length).sum(), key)
        }
    }
}
