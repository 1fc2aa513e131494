//! Judges one objective in one attack. Each vantage is judged by itself; the objective gets the worst verdict of the
//! vantages that count.
//!
//! `held` needs that everything was measured, that the fault landed, and that even the lower bound, with every
//! slipped request counted as bad, reaches the goal. `violated` needs that even the upper bound, with everything
//! unmeasured counted as good, misses it. All else is `unknown`.

use std::collections::BTreeSet;

use firedrill_plan::plan::model::{Goal, Objective, Phase};

use super::{
    bench::Bench,
    card::{Measured, ObjectiveCard, VantageCard, phase_word},
    format, share, time_goals, writes,
};
use crate::verdict::Verdict;

/// Judges one objective.
pub(crate) fn objective(bench: &Bench<'_, '_>, objective: &Objective) -> ObjectiveCard {
    let during = phases(objective);
    let mut card = ObjectiveCard {
        name: objective.name.clone(),
        probe: objective.probe.clone(),
        goal: goal_text(objective),
        verdict: Verdict::Unknown,
        why: String::new(),
        measured: Measured::default(),
        vantages: Vec::new(),
        metric: None,
        alert: None,
        budget: None,
    };
    let Some(probe) = bench.plan.probes.iter().find(|probe| probe.name == objective.probe) else {
        card.why = format!("the plan has no probe `{}`", objective.probe);
        return card;
    };
    let names: BTreeSet<&String> = probe.from.iter().collect();
    for vantage in names {
        let view = bench.view(probe, vantage);
        let mut found = match objective.goal {
            Goal::Good(_) | Goal::Latency { .. } => share::judge(&view, objective.goal, &during),
            Goal::MitigateWithin(limit) => time_goals::mitigated(&view, limit, objective.good_at.fraction()),
            Goal::RecoverWithin(limit) => time_goals::recovered(&view, limit, objective.good_at.fraction()),
            Goal::LostWrites(limits) => writes::judge(bench, objective, limits, vantage),
        };
        if let Some(doubt) = bench.void() {
            found.verdict = Verdict::Unknown;
            found.why.clone_from(&doubt.text);
        }
        // A lost write is proof wherever it was written, also on a host that this attack targets.
        let is_proof = matches!(objective.goal, Goal::LostWrites(_)) && found.verdict == Verdict::Violated;
        card.vantages.push(VantageCard {
            vantage: vantage.clone(),
            counts: bench.counts(vantage) || is_proof,
            verdict: found.verdict,
            why: found.why,
            measured: found.measured,
        });
    }
    // The vantage with the worst verdict decides; of several, the one with the worst figure.
    let badness = |one: &VantageCard| {
        let value = one.measured.value.unwrap_or(0.0);
        let badness = match objective.goal {
            Goal::Good(_) => -value,
            _ if one.measured.endless => f64::INFINITY,
            _ => value,
        };
        (one.verdict, badness)
    };
    let worst = card.vantages.iter().filter(|one| one.counts).max_by(|a, b| {
        let ((verdict_a, a), (verdict_b, b)) = (badness(a), badness(b));
        verdict_a.cmp(&verdict_b).then(a.total_cmp(&b))
    });
    if let Some(worst) = worst {
        card.verdict = worst.verdict;
        let many = card.vantages.iter().filter(|one| one.counts).count() > 1;
        // A doubt about the whole attack is not attributed to a vantage.
        let general = bench.doubts.iter().any(|doubt| doubt.text == worst.why);
        card.why = if many && !general {
            format!("from {}: {}", worst.vantage, worst.why)
        } else {
            worst.why.clone()
        };
        card.measured = worst.measured;
    } else {
        card.why = format!(
            "every vantage of {} is on a host that this attack targets; those are shown, but do not count",
            probe.name
        );
    }
    card
}

/// Returns the phases in which an objective is judged.
pub(crate) fn phases(objective: &Objective) -> Vec<Phase> {
    if objective.during.is_empty() {
        vec![Phase::Baseline, Phase::Fault, Phase::Recovery]
    } else {
        objective.during.clone()
    }
}

/// Describes an objective's goal.
#[must_use]
pub fn goal_text(objective: &Objective) -> String {
    let during = phases(objective).iter().map(|phase| phase_word(*phase)).collect::<Vec<_>>();
    let during = format::list(&during);
    match objective.goal {
        Goal::Good(share) => format!("at least {} good in {during}", format::percent(share.fraction())),
        Goal::Latency { quantile, below } => {
            format!("p{} at most {below} in {during}", trim(quantile * 100.0))
        }
        Goal::MitigateWithin(limit) => {
            format!("{} good again within {limit} from the fault's start", at(objective))
        }
        Goal::RecoverWithin(limit) => format!("{} good again within {limit} from the heal", at(objective)),
        Goal::LostWrites(limits) => limits.words(),
    }
}

/// Returns the share from which the system counts as good again, for people.
fn at(objective: &Objective) -> String {
    format::percent(objective.good_at.fraction())
}

/// Formats a number without zeros at the end.
fn trim(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
