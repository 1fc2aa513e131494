//! The shares of error budgets that an attack and a whole run burnt.
//!
//! The formula is that of [`Budget`]: `bad · time · affected / ((1 − target) · window)`. The time is from the fault's start to the
//! attack's end, whatever the phases in which the objective is judged. The share of bad requests is the mean over that time, with the
//! exact range that verdicts use. Requests that were not measured, slipped or cannot be assigned count as good at the lower end and as
//! bad at the upper end; if a part of the time was not measured, there is no figure.
//! Users are assumed to see what the probe sees, and to come as often as in the rest of the window.

use firedrill_plan::plan::model::{Budget, Metric, Objective, Phase};
use firedrill_wire::Span;

use super::{
    bench::{Bench, View},
    budget_card::{BudgetCard, BurntCard},
    card::{AttackCard, ObjectiveCard, phase_word},
    format,
    interval::{Block, estimate},
    metric, share,
};
use crate::verdict::Verdict;

/// The phases that a drill burns in.
pub(super) const BURNS: [Phase; 3] = [Phase::Fault, Phase::Recovery, Phase::Settle];

/// The share of bad requests over some time: as measured, and the ends of its range.
struct Bad {
    time_us: i64,
    share: Option<f64>,
    low: f64,
    high: Option<f64>,
    /// The reason why it is not known.
    why: Option<String>,
}

/// Adds to the card of an objective of a probe what was burnt of its budget. `cut`: the log ends before the attack does.
pub(super) fn of_probe(bench: &Bench<'_, '_>, objective: &Objective, cut: bool, card: &mut ObjectiveCard) {
    let Some(budget) = bench.plan.budgets.get(&objective.name) else { return };
    let Some(probe) = bench.plan.probes.iter().find(|probe| probe.name == objective.probe) else { return };
    let vantages = probe.from.iter().filter(|vantage| bench.counts(vantage));
    let cards = vantages.map(|vantage| {
        let bad = seen(&bench.view(probe, vantage), objective, cut);
        judged(bench, budget, bad)
    });
    let badness = |card: &BudgetCard| (card.verdict, card.burnt.is_none(), card.burnt.or(card.low));
    let worst = cards.reduce(|a, b| if badness(&b) > badness(&a) { b } else { a });
    take(card, worst);
}

/// Adds to the card of a metric objective what was burnt of its budget.
pub(super) fn of_metric(bench: &Bench<'_, '_>, objective: &Metric, cut: bool, card: &mut ObjectiveCard) {
    let Some(budget) = bench.plan.budgets.get(&objective.name) else { return };
    let mut bad = Bad { time_us: time_us(bench), share: None, low: 0.0, high: None, why: None };
    let whole = metric::objective(bench, &Metric { during: BURNS.to_vec(), ..objective.clone() });
    let gaps = whole.metric.map(|metric| metric.gaps).unwrap_or_default();
    let gap = gaps.first().map(|gap| gap.why.clone());
    let share = whole.measured.value;
    bad.why = unknowable(bench, cut).or(gap).or_else(|| share.is_none().then(|| whole.why.clone()));
    if let Some(share) = share {
        let missing_us: i64 = gaps.iter().map(|gap| gap.until_us.saturating_sub(gap.from_us)).sum();
        let known = 1.0 - missing_us as f64 / bad.time_us.max(1) as f64;
        bad.low = (1.0 - share) * known.clamp(0.0, 1.0);
        // All events of all users were counted, so the share has no interval.
        if bad.why.is_none() {
            (bad.share, bad.high) = (Some(1.0 - share), Some(1.0 - share));
        }
    }
    take(card, Some(judged(bench, budget, bad)));
}

/// Adds the card of a budget to that of its objective. The worse of both verdicts counts.
fn take(card: &mut ObjectiveCard, budget: Option<BudgetCard>) {
    if let Some(budget) = &budget
        && let Some(verdict) = budget.verdict
        && verdict > card.verdict
    {
        card.verdict = verdict;
        card.why.clone_from(&budget.why);
    }
    card.budget = budget.map(Box::new);
}

/// Returns the length of the time that counts, in microseconds.
fn time_us(bench: &Bench<'_, '_>) -> i64 {
    let spans = BURNS.iter().filter_map(|phase| bench.phases.get(*phase));
    spans.map(|span| span.until_us.saturating_sub(span.from_us)).sum()
}

/// Returns the reason why the burnt share of the attack as a whole cannot be known; `None` if it may be.
fn unknowable(bench: &Bench<'_, '_>, cut: bool) -> Option<String> {
    if bench.phases.fault_us.is_none() {
        return Some("the fault was never in force".to_owned());
    }
    cut.then(|| "the log ends before the attack does".to_owned())
}

/// Counts what a vantage saw.
fn seen(view: &View<'_, '_>, objective: &Objective, cut: bool) -> Bad {
    let phases = view.bench.phases;
    let tally = share::tally(view, objective.goal, &BURNS);
    let mut best = tally.best().to_vec();
    let mut why = unknowable(view.bench, cut);
    for span in BURNS.iter().filter_map(|phase| phases.get(*phase)) {
        let missing = view.unmeasured_us(span.from_us, span.until_us);
        if missing > 0 {
            let all = missing as f64 / 1e6 * view.probe.rate;
            best.push(Block { good: all, all, length_us: missing as f64 });
        }
        if let Some(weak) = view.weakness(span.from_us, span.until_us, phase_word(span.phase)) {
            why.get_or_insert(weak);
        }
    }
    if tally.unreadable() {
        why.get_or_insert_with(|| "latencies cannot be read".to_owned());
    }
    let sure = tally.estimate();
    if sure.is_none() {
        why.get_or_insert_with(|| "nothing was measured".to_owned());
    }
    let known = why.is_none();
    Bad {
        time_us: time_us(view.bench),
        share: sure.filter(|_| known).map(|sure| 1.0 - sure.share),
        low: if sure.is_some() { estimate(&best).map_or(0.0, |best| 1.0 - best.high) } else { 0.0 },
        high: estimate(tally.worst()).filter(|_| known).map(|worst| 1.0 - worst.low),
        why,
    }
}

/// Returns the card of a budget for this share of bad requests.
fn judged(bench: &Bench<'_, '_>, budget: &Budget, bad: Bad) -> BudgetCard {
    let time = Span::micros(bad.time_us.max(0).unsigned_abs());
    let burnt = |share: f64| budget.burnt(share, time);
    // Users may have seen failures, but nothing shows that this attack caused them.
    let bad = match bench.void() {
        Some(doubt) => Bad { share: None, low: 0.0, high: None, why: Some(doubt.text.clone()), ..bad },
        None => bad,
    };
    let mut card = BudgetCard {
        target: budget.target.fraction(),
        window_us: budget.window.as_micros(),
        affected: budget.affected.fraction(),
        time_us: bad.time_us,
        burnt: bad.share.map(burnt),
        low: Some(burnt(bad.low)),
        high: bad.high.map(burnt),
        limit: budget.burn_below.map(firedrill_wire::Share::fraction),
        verdict: None,
        why: bad.why.unwrap_or_default(),
    };
    card.decide();
    if let Some(doubt) = card.verdict.and_then(|verdict| bench.doubt_about(verdict)) {
        (card.verdict, card.why) = (Some(Verdict::Unknown), doubt.text.clone());
    }
    card
}

impl BudgetCard {
    /// Judges the limit, if there is one.
    fn decide(&mut self) {
        let Some(limit) = self.limit else { return };
        let burnt = format!("{} of the error budget burnt", self.figure());
        let wanted = format!("less than {} wanted", format::percent(limit));
        let (verdict, why) = match (self.low, self.high) {
            (Some(low), _) if low >= limit => (Verdict::Violated, format!("{burnt}, {wanted}")),
            (_, Some(high)) if high < limit => (Verdict::Held, format!("{burnt}, {wanted}")),
            (_, Some(_)) => (Verdict::Unknown, format!("{burnt}, {wanted}: too close to tell")),
            (_, None) => {
                (Verdict::Unknown, format!("what was burnt of the error budget is not known: {}", self.why))
            }
        };
        (self.verdict, self.why) = (Some(verdict), why);
    }
}

/// Sums up what the attacks burnt, by objective.
///
/// The ends of the ranges are summed, too. A sum of lower ends exceeds the truth only if one of them exceeds it by more than all others
/// are below it. That is far less likely than the 2.5 % of a single range.
pub(super) fn of_run(attacks: &[AttackCard]) -> Vec<BurntCard> {
    let mut all: Vec<BurntCard> = Vec::new();
    let ran = attacks.iter().filter(|attack| attack.verdict.is_some());
    for one in ran.flat_map(|attack| &attack.objectives) {
        let Some(budget) = &one.budget else { continue };
        match all.iter_mut().find(|sum| sum.objective == one.name) {
            Some(sum) => {
                let add = |a: Option<f64>, b: Option<f64>| Some(a? + b?);
                let into = &mut sum.budget;
                sum.attacks += 1;
                into.time_us = into.time_us.saturating_add(budget.time_us);
                into.burnt = add(into.burnt, budget.burnt);
                into.low = add(into.low, budget.low);
                into.high = add(into.high, budget.high);
                into.verdict = into.verdict.max(budget.verdict);
                if into.why.is_empty() {
                    into.why.clone_from(&budget.why);
                }
            }
            None => {
                let budget = BudgetCard::clone(budget);
                all.push(BurntCard { objective: one.name.clone(), attacks: 1, budget });
            }
        }
    }
    for sum in all.iter_mut().filter(|sum| sum.attacks > 1) {
        let of_attacks = sum.budget.verdict;
        sum.budget.decide();
        // A doubt about one attack is a doubt about the sum.
        sum.budget.verdict = sum.budget.verdict.max(of_attacks);
    }
    all
}

/// Returns the verdict and the reasons of budgets that all attacks together used up, or may have.
pub(super) fn doubts(all: &[BurntCard], attacks: &[AttackCard]) -> (Verdict, Vec<String>) {
    let mut worst = Verdict::Held;
    let mut why = Vec::new();
    for sum in all {
        let verdict = sum.budget.verdict.unwrap_or(Verdict::Held);
        let own = attacks.iter().flat_map(|attack| &attack.objectives);
        let own = own.filter(|one| one.name == sum.objective).map(|one| one.verdict).max();
        // If an attack has that verdict already, its own reason is enough.
        if own.is_none_or(|own| verdict > own) {
            worst = worst.max(verdict);
            why.push(format!("{}: in {} attacks together {}", sum.objective, sum.attacks, sum.budget.why));
        }
    }
    (worst, why)
}

#[cfg(test)]
mod tests;
