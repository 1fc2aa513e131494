//! The score of an attack, 0 to 100, for trends between equal plans. It never decides a verdict.
//!
//! | part | points | full | none |
//! |---|---|---|---|
//! | availability | 40 | the share of bad requests in the fault is at most what the objective allows | ten times that |
//! | mitigation | 25 | good again at the fault's start | not good again while it held |
//! | recovery | 25 | good again at the heal | not good again until the attack's end |
//! | latency | 10 | the fault's p99 is at most the baseline's | ten times that, or endless |
//!
//! Between full and none the points fall linearly. The attack's score is the lowest of its judged probes at the vantages that count.

use firedrill_plan::plan::model::Phase;

use super::{bench::Bench, card::FigureCard};

/// Returns the attack's score; `None` if a figure that it needs was not measured.
pub(crate) fn score(bench: &Bench<'_, '_>, figures: &[FigureCard]) -> Option<u8> {
    let judged = |probe: &str| bench.objectives().any(|objective| objective.probe == probe);
    let mut lowest: Option<f64> = None;
    for figure in figures.iter().filter(|figure| figure.counts && judged(&figure.probe)) {
        let points = points(bench, figure)?;
        lowest = Some(lowest.map_or(points, |lowest| lowest.min(points)));
    }
    lowest.map(|points| u8::try_from(firedrill_statistics::whole(points.round())).unwrap_or(100).min(100))
}

/// Returns the points of a probe at a vantage, 0 to 100; `None` if a figure was not measured.
fn points(bench: &Bench<'_, '_>, figure: &FigureCard) -> Option<f64> {
    let in_phase = |phase: Phase| figure.phases.iter().find(|one| one.phase == phase);
    let fault = in_phase(Phase::Fault)?;
    let bad = 1.0 - fault.good?;
    let allowed = 1.0 - bench.good_enough(&figure.probe);
    let availability = if allowed > 1e-9 {
        ((10.0 - bad / allowed) / 9.0).clamp(0.0, 1.0)
    } else if bad > 0.0 {
        0.0
    } else {
        1.0
    };
    // The part of a span that was left when the system was good again; 0 if it was not.
    let left = |took: Option<i64>, span: i64| {
        took.map_or(0.0, |took| (1.0 - took as f64 / span.max(1) as f64).clamp(0.0, 1.0))
    };
    let phases = bench.phases;
    let fault_span = phases.get(Phase::Fault)?;
    let mitigation = left(figure.mitigated_us, fault_span.until_us.saturating_sub(phases.fault_us?));
    let end = phases.get(Phase::Recovery)?.until_us;
    let recovery = left(figure.recovered_us, end.saturating_sub(phases.healed_us.unwrap_or(end)));
    let latency = match (in_phase(Phase::Baseline).and_then(|one| one.p99_us), fault.p99_us) {
        (Some(before), Some(during)) => ((10.0 - during as f64 / before.max(1) as f64) / 9.0).clamp(0.0, 1.0),
        _ => 0.0,
    };
    Some(40.0 * availability + 25.0 * mitigation + 25.0 * recovery + 10.0 * latency)
}
