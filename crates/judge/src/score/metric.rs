//! Judges an objective that a source measures, from the samples in the log.
//!
//! A sample counts if the whole time that it describes is certainly in the judged phases, with the uncertainties of all clocks. `held`
//! needs samples over all judged time. A single sample decides `violated` if the goal bounds every sample. What a source did not say is
//! `unknown`.

mod gaps;
mod goals;
mod showing;

use firedrill_plan::plan::model::{Metric, MetricGoal, Phase};

use self::{gaps::gaps, goals::Seen};
pub use self::{
    goals::violated_by,
    showing::{Showing, shows},
};
use super::{
    bench::Bench,
    card::{Measured, ObjectiveCard, Unit, phase_word},
    format,
    metric_card::MetricCard,
    part::{Stretch, stretches},
    sampled::SampledFacts,
};
use crate::{log::Sample, verdict::Verdict};

/// Judges one objective.
pub(super) fn objective(bench: &Bench<'_, '_>, metric: &Metric) -> ObjectiveCard {
    let nothing = SampledFacts::default();
    let facts = bench.facts.sampled.get(metric.name.as_str()).unwrap_or(&nothing);
    let Around { unsure_us, all, before_us } = Around::of(bench, metric, facts);
    let ends = bench.phases.all.first().zip(bench.phases.all.last());
    let (from_us, until_us) = ends.map_or((0, 0), |(first, last)| (first.from_us, last.until_us));
    let reach_us = facts.reach_us();
    let last_us = until_us.saturating_add(reach_us);
    // An increase ends with the first sample after the phases, which may be about a moment only.
    let next_us = match metric.goal {
        MetricGoal::IncreaseBelow(_) => unsure_us.saturating_add(signed(metric.every.as_micros())),
        _ => 0,
    };
    let near_us = last_us.saturating_add(next_us);
    let first_us = before_us.map_or(from_us, |before_us| before_us.min(from_us));
    let nearby = facts.samples(first_us, near_us.saturating_add(reach_us)).iter().copied();
    let near: Vec<&Sample> = nearby.filter(|one| one.from_us() <= near_us).collect();
    let seen = Seen::of(metric, Showing::new(bench.plan, metric), &near, &all);
    let gaps = gaps(metric, facts, &seen, &all);
    let mut card = MetricCard {
        source: metric.source.clone(),
        asks: metric.asks.words(),
        unit: metric.unit.clone(),
        samples: seen.counted.len() as u64,
        unsure_us,
        took_us: facts.took_us(),
        bound: match metric.goal {
            MetricGoal::Below(bound) | MetricGoal::Above(bound) => Some(bound),
            MetricGoal::Good(share) => Some(share.fraction()),
            MetricGoal::IncreaseBelow(_) => None,
        },
        points: near.iter().filter(|one| one.at_us >= from_us).map(|one| seen.point(metric, one)).collect(),
        gaps,
        ..MetricCard::default()
    };
    (card.asked, card.unanswered) = facts.asked(from_us, last_us);
    let mut found = seen.judge(metric, &card.gaps, &all);
    if found.verdict == Verdict::Held
        && let Some(why) = not_about_the_fault(bench, metric, unsure_us, &seen)
            .or_else(|| unknown_before(bench, metric, facts))
    {
        (found.verdict, found.why) = (Verdict::Unknown, why);
    }
    if let Some(doubt) = bench.doubt_about(found.verdict) {
        (found.verdict, found.why) = (Verdict::Unknown, doubt.text.clone());
    }
    (card.worst, card.worst_at_us) = (found.value, found.at_us);
    let unit = if matches!(metric.goal, MetricGoal::Good(_)) { Unit::Share } else { Unit::Number };
    ObjectiveCard {
        name: metric.name.clone(),
        probe: String::new(),
        goal: goal_text(metric),
        verdict: found.verdict,
        why: found.why,
        measured: Measured {
            unit,
            value: found.value,
            low: found.low,
            high: found.high,
            samples: card.samples,
            ..Measured::default()
        },
        vantages: Vec::new(),
        metric: Some(Box::new(card)),
        alert: None,
        budget: None,
    }
}

/// Returns a time in microseconds as a signed number.
fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

/// The judged time, with the uncertainty of the source's clock.
struct Around {
    /// The largest uncertainty of that clock, of all samples that take part.
    unsure_us: i64,
    all: Vec<Stretch>,
    /// The time of the sample from which an increase is counted: the last one that shows something before all judged time.
    before_us: Option<i64>,
}

impl Around {
    fn of(bench: &Bench<'_, '_>, metric: &Metric, facts: &SampledFacts<'_>) -> Self {
        let judged = bench.phases.all.iter().filter(|span| metric.during.contains(&span.phase));
        let mut from_us = judged.map(|span| span.from_us).min().unwrap_or(0);
        loop {
            let unsure_us = facts.unsure_us(from_us);
            let all = stretches(bench.phases, &metric.during, unsure_us);
            let first_us = all.first().map(|stretch| stretch.perhaps().start);
            let increases = matches!(metric.goal, MetricGoal::IncreaseBelow(_));
            let before_us = first_us.filter(|_| increases).and_then(|first_us| {
                let earlier = facts.samples(i64::MIN, first_us);
                Some(earlier.iter().rfind(|one| shows(metric.goal, one))?.at_us)
            });
            match before_us {
                // At that sample the clock may have been less certain, so the sample is not certainly before all judged time: search again.
                Some(before_us) if before_us < from_us => from_us = before_us,
                _ => return Self { unsure_us, all, before_us },
            }
        }
    }
}

/// Returns the reason why no sample is about the fault, if it is judged: samples also describe the time around a short fault.
fn not_about_the_fault(
    bench: &Bench<'_, '_>,
    metric: &Metric,
    unsure_us: i64,
    seen: &Seen<'_>,
) -> Option<String> {
    if !metric.during.contains(&Phase::Fault) || matches!(metric.goal, MetricGoal::IncreaseBelow(_)) {
        return None;
    }
    let fault = stretches(bench.phases, &[Phase::Fault], unsure_us);
    let inside = |one: &&Sample| fault.iter().any(|stretch| stretch.holds(one.from_us(), one.at_us));
    (!seen.counted.iter().any(inside))
        .then(|| "no sample is about the fault alone: it was too short, or its edges are not sure".to_owned())
}

/// Returns the reason why it is not known whether the system was healthy before the fault; `None` if it is known, or if the plan has no
/// baseline. A sample is about the time since the sample before it.
fn unknown_before(bench: &Bench<'_, '_>, metric: &Metric, facts: &SampledFacts<'_>) -> Option<String> {
    let baseline = bench.phases.get(Phase::Baseline).filter(|_| !bench.attack.baseline.is_zero())?;
    let from_us = baseline.from_us.saturating_sub(signed(metric.every.as_micros()));
    let mut before = facts.samples(from_us, baseline.until_us).iter();
    (!before.any(|one| shows(metric.goal, one)))
        .then(|| "nothing was measured of it before the fault".to_owned())
}

/// Describes a metric's goal.
#[must_use]
pub fn goal_text(metric: &Metric) -> String {
    let during: Vec<_> = metric.during.iter().map(|phase| phase_word(*phase)).collect();
    format!("{} in {}", metric.wanted(), format::list(&during))
}

#[cfg(test)]
mod tests;
