//! The key figures of every probe and vantage of an attack. Judges nothing.

use std::sync::Arc;

use firedrill_plan::plan::model::{Goal, Phase};
use firedrill_probe::{
    bin::ON_TIME_US,
    cells::{Counts, Grid, rank},
    seconds::Lateness,
};

use super::{
    bench::{Bench, View},
    card::{FigureCard, OutageCard, PartialCard, PhaseFigure},
    sample::Sample,
    share, time_goals,
};

/// Returns all figures of an attack.
pub(crate) fn all(bench: &Bench<'_, '_>) -> Vec<FigureCard> {
    let mut cards = Vec::new();
    for probe in &bench.plan.probes {
        for vantage in &probe.from {
            let view = bench.view(probe, vantage);
            let phases: Vec<_> = bench.phases.all.iter().map(|span| phase(&view, span.phase)).collect();
            let threshold = bench.good_again(&probe.name);
            let went = |course| time_goals::went(&view, course, threshold);
            let mitigated = time_goals::of_fault(&view).and_then(went);
            let recovered = time_goals::of_recovery(&view).and_then(went);
            cards.push(FigureCard {
                probe: probe.name.clone(),
                vantage: vantage.clone(),
                counts: bench.counts(vantage),
                phases,
                bad: after_start(&view).map(Sample::bad).sum(),
                causes: causes(&view),
                bad_for_us: bad_for(&view),
                mitigated_us: mitigated.and_then(|went| took(&went)),
                recovered_us: recovered.and_then(|went| took(&went)),
                outage: outage(&view, threshold),
                partial: partial(&view),
                late_p99_us: late(&view),
                budget_spent: budget(&view),
            });
        }
    }
    cards
}

/// Returns the figures of one phase at one vantage, counted in the same way as objectives.
fn phase(view: &View<'_, '_>, phase: Phase) -> PhaseFigure {
    let tally = share::good(view, phase);
    PhaseFigure {
        phase,
        samples: tally.samples(),
        good: tally.share(),
        p50_us: tally.quantile(0.5),
        p99_us: tally.quantile(0.99),
    }
}

/// Returns the bins from the fault's start to the attack's end. A bin across the start belongs to them unless its bad requests came before.
fn after_start<'v>(view: &'v View<'_, '_>) -> impl Iterator<Item = &'v Sample> {
    let from = view.bench.phases.fault_us.unwrap_or(i64::MAX);
    let until = view.bench.phases.all.last().map_or(i64::MIN, |span| span.until_us);
    view.samples.iter().filter(move |bin| {
        bin.from_us < until && bin.until_us > from && bin.last_bad_us().is_none_or(|last| last >= from)
    })
}

/// Counts the causes of bad requests after the fault's start.
fn causes(view: &View<'_, '_>) -> std::collections::BTreeMap<String, u64> {
    let mut causes = std::collections::BTreeMap::<String, u64>::new();
    for (cause, count) in after_start(view).flat_map(Sample::causes) {
        let sum = causes.entry(cause.clone()).or_default();
        *sum = sum.saturating_add(*count);
    }
    causes
}

/// Returns the time from the first to the last bad request after the fault's start, in microseconds.
fn bad_for(view: &View<'_, '_>) -> Option<i64> {
    let from = view.bench.phases.fault_us?;
    let first = after_start(view).find_map(Sample::first_bad_us)?.max(from);
    let last = after_start(view).filter_map(Sample::last_bad_us).last()?;
    Some(last.saturating_sub(first).max(0))
}

/// Returns the time until requests were good again, in microseconds; `None` if they were not.
fn took(went: &time_goals::Went) -> Option<i64> {
    (!went.still).then_some(went.took_us)
}

/// Returns the longest outage from the fault's start to the recovery's end.
fn outage(view: &View<'_, '_>, threshold: f64) -> Option<OutageCard> {
    let fault = time_goals::of_fault(view)?;
    let recovery = time_goals::of_recovery(view)?;
    let course = time_goals::Course { until_us: recovery.until_us, ..fault };
    let longest = time_goals::went(view, course, threshold)?.outage;
    let after_us = longest.from_us.map(|from| from.saturating_sub(fault.from_us));
    Some(OutageCard { after_us, low_us: longest.low_us, high_us: longest.high_us })
}

/// Sums up the seconds in which some requests failed and others did not.
fn partial(view: &View<'_, '_>) -> Option<PartialCard> {
    let add = |sum: PartialCard, one: &Sample| PartialCard {
        for_us: sum.for_us.saturating_add(one.until_us.saturating_sub(one.from_us)),
        bad: sum.bad.saturating_add(one.bad()),
        all: sum.all.saturating_add(one.good()).saturating_add(one.bad()),
    };
    let mixed = after_start(view).filter(|one| one.bad() > 0 && one.good() > 0);
    let sum = mixed.fold(PartialCard { for_us: 0, bad: 0, all: 0 }, add);
    (sum.bad > 0).then_some(sum)
}

/// Returns the 99th percentile of the lateness of this vantage's requests, in microseconds. A lateness below a millisecond counts as a
/// millisecond. `None` if no request was later, or if the lateness cannot be read.
fn late(view: &View<'_, '_>) -> Option<u64> {
    let grid = Arc::new(Grid::new(&[]));
    let (mut late_counts, mut in_time, mut any_late) = (Counts::new(grid), 0_u64, false);
    for sample in after_start(view) {
        match sample.lateness() {
            Lateness::OnTime => in_time += sample.good() + sample.bad(),
            Lateness::Late { started, cells } => {
                in_time += started.saturating_sub(cells.len() as u64);
                late_counts.add(cells);
                any_late = true;
            }
            Lateness::Unreadable => return None,
        }
    }
    let rank = rank(0.99, late_counts.total() + in_time);
    // Requests in time have the lowest ranks.
    let late = |rank: u64| late_counts.ranked(rank).unwrap_or(ON_TIME_US);
    any_late.then(|| rank.checked_sub(in_time).filter(|rank| *rank > 0).map_or(ON_TIME_US, late))
}

/// Returns the used share of the bad requests that the objective on the good share allows; `None` without such an objective, or if it
/// allows none.
fn budget(view: &View<'_, '_>) -> Option<f64> {
    let judged = |goal: &Goal| matches!(goal, Goal::Good(_));
    view.bench.objectives().find(|one| one.probe == view.probe.name && judged(&one.goal))?;
    let first = view.bench.phases.all.first()?.from_us;
    let last = view.bench.phases.all.last()?.until_us;
    let inside = || view.samples.iter().filter(|bin| bin.from_us < last && bin.until_us > first);
    let all: u64 = inside().map(|bin| bin.good() + bin.bad()).sum();
    let bad: u64 = inside().map(Sample::bad).sum();
    let allowed = (1.0 - view.bench.good_enough(&view.probe.name)) * all as f64;
    (allowed > 0.0).then(|| bad as f64 / allowed)
}
