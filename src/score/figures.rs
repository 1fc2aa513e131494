//! The figures that people quote, for every probe and vantage of an attack. Judges nothing.

use super::{
    acts::Part,
    again,
    card::{FigureCard, PhaseFigure},
    judge::{Bench, View},
    latency::Latencies,
    regain::{Regain, Slips, regain},
    share,
};
use crate::plan::model::{Goal, Phase};

/// All figures of an attack.
pub(crate) fn all(bench: &Bench<'_, '_>) -> Vec<FigureCard> {
    let mut cards = Vec::new();
    for probe in &bench.plan.probes {
        for vantage in &probe.from {
            let view = bench.view(probe, vantage);
            let phases: Vec<_> = bench.acts.all.iter().map(|act| phase(&view, act.phase)).collect();
            cards.push(FigureCard {
                probe: probe.name.clone(),
                vantage: vantage.clone(),
                counts: bench.counts(vantage),
                phases,
                bad: after_start(&view).map(|bin| bin.bad).sum(),
                causes: causes(&view),
                bad_for_us: bad_for(&view),
                mitigated_us: again::fault_span(&view).and_then(|span| took(&view, span)),
                recovered_us: again::recovery_span(&view).and_then(|span| took(&view, span)),
                budget_spent: budget(&view),
            });
        }
    }
    cards
}

fn phase(view: &View<'_, '_>, phase: Phase) -> PhaseFigure {
    // Counted as objectives count: a second across an edge has only its part in the phase.
    let (mut good, mut bad, mut bins) = (0, 0, Vec::new());
    for sample in view.samples {
        let (sample, side) = match view.bench.acts.part(sample, &[phase]) {
            Part::Whole(sample) => (sample, 1.0),
            Part::Side(sample, side) => (sample, side),
            Part::None | Part::Unsure(_) => continue,
        };
        good += super::whole(share::counts(sample, side).0);
        bad += sample.bad;
        bins.push(sample);
    }
    let readable = bins.iter().all(|bin| bin.latencies.is_some());
    let latencies = Latencies::merge(bins.iter().filter_map(|bin| bin.latencies.as_ref()));
    let quantile = |q: f64| if readable { latencies.quantile(q, bad) } else { None };
    PhaseFigure {
        phase,
        samples: good + bad,
        good: (good + bad > 0).then(|| good as f64 / (good + bad) as f64),
        p50_us: quantile(0.5),
        p99_us: quantile(0.99),
    }
}

fn after_start<'v>(view: &'v View<'_, '_>) -> impl Iterator<Item = &'v super::facts::Sample<'v>> {
    let from = view.bench.acts.fault_us.unwrap_or(i64::MAX);
    let until = view.bench.acts.all.last().map_or(i64::MIN, |act| act.until_us);
    view.samples.iter().filter(move |bin| {
        bin.from_us < until && bin.until_us > from && bin.last_bad_us.is_none_or(|last| last >= from)
    })
}

fn causes(view: &View<'_, '_>) -> std::collections::BTreeMap<String, u64> {
    let mut causes = std::collections::BTreeMap::<String, u64>::new();
    for (cause, count) in after_start(view).flat_map(|bin| bin.causes) {
        let sum = causes.entry(cause.clone()).or_default();
        *sum = sum.saturating_add(*count);
    }
    causes
}

fn bad_for(view: &View<'_, '_>) -> Option<i64> {
    let from = view.bench.acts.fault_us?;
    let first = after_start(view).find_map(|bin| bin.first_bad_us)?.max(from);
    let last = after_start(view).filter_map(|bin| bin.last_bad_us).last()?;
    Some(last.saturating_sub(first).max(0))
}

fn took(view: &View<'_, '_>, (from, until): (i64, i64)) -> Option<i64> {
    if view.unmeasured_us(from, until) > 0 {
        return None;
    }
    match regain(view.samples, from, until, view.bench.good_enough(&view.probe.name), Slips::Out) {
        Regain::AlwaysGood => Some(0),
        Regain::At(moment) => Some(moment.saturating_sub(from)),
        Regain::NotYet(_) | Regain::Unmeasured => None,
    }
}

fn budget(view: &View<'_, '_>) -> Option<f64> {
    let judged = |goal: &Goal| matches!(goal, Goal::Good(_));
    view.bench.objectives().find(|one| one.probe == view.probe.name && judged(&one.goal))?;
    let first = view.bench.acts.all.first()?.from_us;
    let last = view.bench.acts.all.last()?.until_us;
    let inside = || view.samples.iter().filter(|bin| bin.from_us < last && bin.until_us > first);
    let all: u64 = inside().map(|bin| bin.good + bin.bad).sum();
    let bad: u64 = inside().map(|bin| bin.bad).sum();
    let allowed = (1.0 - view.bench.good_enough(&view.probe.name)) * all as f64;
    (allowed > 0.0).then(|| bad as f64 / allowed)
}
