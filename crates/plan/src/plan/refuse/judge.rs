//! Refuses objectives that the planned rate and times cannot decide.

use firedrill_wire::{Span, probe::Arrivals};

use super::time::LONGEST_HOLD;
use crate::{
    diagnostic::{Item, Problem, Sink},
    plan::{
        decide::{PART, SURE, allowed_failures, best_share, rate_for, samples, samples_to_decide, time_for},
        model::{Goal, Phase},
        timing::{self, Timing},
    },
    scenario::{Scenario, attack::Attack, objective::Objective},
};

/// Checks the objectives of an attack.
pub(super) fn refuse(attack: &Item<Attack>, scenario: &Scenario, sink: &mut Sink) {
    let judged = timing::judged(attack, scenario);
    let nothing_to_judge_by = scenario.all_objectives().next().is_none() && scenario.lost.is_empty();
    if judged.is_empty() && !attack.broken && (nothing_to_judge_by || attack.value.judge.is_some()) {
        sink.push(
            Problem::error(format!("attack `{}` has no objective to be judged by", attack.name))
                .at(attack.place(), "no objective")
                .help("define an objective and judge by it; without one, the attack has no verdict"),
        );
    }
    let timing = timing::timing(attack, scenario);
    for name in judged {
        if let Some(objective) = scenario.objective(name) {
            decidable(attack, objective, &timing, scenario, sink);
        }
    }
}

/// Refuses an objective for which there are too few samples.
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
    let needed = samples_to_decide(&goal, own.good_at());
    if let Goal::Good(share) = goal
        && needed == u64::MAX
    {
        // It is reported once, not for every attack.
        if scenario.attacks.first().is_some_and(|first| first.name == attack.name) {
            let place =
                own.good.as_ref().map_or_else(|| objective.place(), |good| objective.place_of(&good.at));
            sink.push(
                Problem::error(format!("no number of samples can show {share}"))
                    .at(place, "cannot be shown")
                    .help("for example \"99.9%\", which 3688 good samples show"),
            );
        }
        return;
    }
    if rate.is_nan() || rate <= 0.0 || needed == u64::MAX {
        return;
    }
    let (time, key) = time_of(&goal, &own.during(), hold, timing);
    // The time of these goals varies a little between drills, so the mean number of samples counts.
    let arrivals = match goal {
        Goal::MitigateWithin(_) | Goal::RecoverWithin(_) => Arrivals::Even,
        Goal::Good(_) | Goal::Latency { .. } | Goal::LostWrites(_) => probe.value.arrivals,
    };
    let there = samples(rate, time, arrivals);
    if there >= needed {
        if let Some(allowed) = allowed_failures(&goal, there).filter(|allowed| *allowed < SURE) {
            barely(attack, objective, allowed, key, scenario, sink);
        }
        return;
    }
    // Random moments vary, so only the minimum is certain.
    let least = match arrivals {
        Arrivals::Poisson => "at least ",
        Arrivals::Even => "",
    };
    let problem = match &goal {
        Goal::Good(share) => format!(
            "{rate} a second give {least}{there} samples in {time} at a vantage, which show {:.2}% at best, not {share}; \
             {needed} are needed",
            // Rounded down: 89.997 % is not 90 %.
            (best_share(there) * 10_000.0).floor() / 100.0
        ),
        Goal::Latency { quantile, .. } => format!(
            "{rate} a second give {least}{there} samples in {time} at a vantage, which cannot show the {quantile} quantile; \
             {needed} are needed"
        ),
        Goal::LostWrites(_) => format!("{rate} a second give {least}{there} writes in {time} at a vantage"),
        Goal::MitigateWithin(_) | Goal::RecoverWithin(_) => format!(
            "{rate} a second give {there} samples in {time}, a quarter of the time; {needed} good ones in a row show that it is \
             good again"
        ),
    };
    // Only values that a scenario may have are suggested.
    let faster =
        Some(rate_for(needed, time, arrivals)).filter(|rate| (*rate as f64) <= firedrill_probe::MOST_RATE);
    let faster = faster.map(|rate| format!("rate = {rate} (probe `{}`)", probe.name));
    let longer = match goal {
        Goal::MitigateWithin(_) => {
            Some(("mitigate_within", time_for(needed * u64::from(PART), rate, arrivals)))
        }
        Goal::RecoverWithin(_) => {
            Some(("recover_within", time_for(needed * u64::from(PART), rate, arrivals)))
        }
        Goal::Good(_) | Goal::Latency { .. } | Goal::LostWrites(_) => {
            key.map(|key| (key, time_for(needed, rate, arrivals)))
        }
    };
    let longer =
        longer.filter(|(_, time)| *time <= LONGEST_HOLD).map(|(key, time)| format!("{key} = \"{time}\""));
    let help = match [faster, longer].into_iter().flatten().collect::<Vec<_>>() {
        all if all.is_empty() => "lower the goal; no valid rate or time is enough for this one".to_owned(),
        all => format!("{} would be enough", all.join(" or ")),
    };
    let at = super::time::place_of(attack, scenario, key.unwrap_or("hold"));
    sink.push(
        Problem::error(format!("attack `{}` cannot decide `{}`: {problem}", attack.name, objective.name))
            .at(at, "too few samples")
            .also(objective.place(), "the objective")
            .help(help),
    );
}

/// Warns of a number of samples that decides the objective if all are good, but not if some fail.
fn barely(
    attack: &Item<Attack>,
    objective: &Item<Objective>,
    allowed: f64,
    key: Option<&'static str>,
    scenario: &Scenario,
    sink: &mut Sink,
) {
    let at = super::time::place_of(attack, scenario, key.unwrap_or("hold"));
    sink.push(
        Problem::warning(format!(
            "attack `{}` decides `{}` only if nearly nothing fails: the objective allows {allowed:.1} failures among the \
             requests of that time",
            attack.name, objective.name
        ))
        .at(at, "few samples")
        .also(objective.place(), "the objective")
        .help("with 13 or more allowed failures (a higher rate, or longer) a system with a quarter of them is judged good in 9 of 10 drills"),
    );
}

/// Returns the time in which the samples must come, and the key of the attack that extends it. If the fault phase
/// counts, it must be enough by itself: later measurements say nothing about it.
fn time_of(goal: &Goal, during: &[Phase], hold: Span, timing: &Timing) -> (Span, Option<&'static str>) {
    match goal {
        Goal::MitigateWithin(within) | Goal::RecoverWithin(within) => (Span(within.0 / PART), None),
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
