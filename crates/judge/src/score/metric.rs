//! Judges an objective that a source measures, from the samples in the log.
//!
//! A sample counts where all that it describes is in the judged phases, by every clock that takes part. `held` needs samples over the
//! whole of them; a single one decides `violated` where the goal bounds every sample. What a source did not say is `unknown`.

mod gaps;
mod goals;

use firedrill_plan::plan::model::{Metric, MetricGoal, Phase};
use serde::{Deserialize, Serialize};

pub use self::goals::violated_by;
use self::{gaps::gaps, goals::Seen};
use super::{
    bench::Bench,
    card::{Measured, ObjectiveCard, Unit, phase_word},
    facts::SampledFacts,
    format,
    part::{Stretch, stretches},
};
use crate::{log::Sample, verdict::Verdict};

/// What a source measured of one objective during one attack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricCard {
    /// The source.
    pub source: String,
    /// What was asked.
    pub asks: String,
    /// Number of samples that count.
    pub samples: u64,
    /// The worst sample; for a share or an increase, the figure over all judged phases.
    pub worst: Option<f64>,
    /// The time of the worst sample.
    #[serde(default)]
    pub worst_at_us: Option<i64>,
    /// Judged time that no sample is about.
    #[serde(default)]
    pub gaps: Vec<GapCard>,
    /// Uncertainty of the source's clock.
    pub unsure_us: i64,
    /// Questions, and those without an answer.
    pub asked: u64,
    /// Questions without an answer.
    pub unanswered: u64,
    /// The median time that a question took.
    pub took_us: i64,
    /// The bound that samples are drawn with, where the goal has one.
    #[serde(default)]
    pub bound: Option<f64>,
    /// All samples around the attack.
    #[serde(default)]
    pub points: Vec<PointCard>,
}

/// A stretch of judged time that no sample is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GapCard {
    /// Its start.
    pub from_us: i64,
    /// Its end.
    pub until_us: i64,
    /// The reason, as far as it is known: a clause.
    pub why: String,
}

/// A sample as it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointCard {
    /// Its time.
    pub at_us: i64,
    /// Its value, the worst of all series; `None` where it shows nothing.
    pub value: Option<f64>,
    /// Whether it counts for the verdict.
    pub counts: bool,
}

/// Judges one objective.
pub(super) fn objective(bench: &Bench<'_, '_>, metric: &Metric) -> ObjectiveCard {
    let nothing = SampledFacts::default();
    let facts = bench.facts.sampled.get(metric.name.as_str()).unwrap_or(&nothing);
    let unsure_us = facts.unsure_us;
    let all = stretches(bench.phases, &metric.during, unsure_us);
    let around = bench.phases.all.first().zip(bench.phases.all.last());
    let (from_us, until_us) = around.map_or((0, 0), |(first, last)| (first.from_us, last.until_us));
    let reach_us = facts.samples.iter().map(|one| one.at_us - one.from_us()).max().unwrap_or(0);
    let near: Vec<&Sample> = facts
        .samples
        .iter()
        .copied()
        .filter(|one| one.at_us >= from_us && one.from_us() <= until_us.saturating_add(reach_us))
        .collect();
    let seen = Seen::of(metric, &near, &all);
    let holes = gaps(metric, facts, &seen, &all);
    let mut card = MetricCard {
        source: metric.source.clone(),
        asks: metric.asks.words(),
        samples: seen.counted.len() as u64,
        unsure_us,
        took_us: facts.took_us(),
        bound: match metric.goal {
            MetricGoal::Below(bound) | MetricGoal::Above(bound) => Some(bound),
            MetricGoal::Good(share) => Some(share.fraction()),
            MetricGoal::IncreaseBelow(_) => None,
        },
        points: near.iter().map(|one| seen.point(metric, one)).collect(),
        gaps: holes,
        ..MetricCard::default()
    };
    (card.asked, card.unanswered) = facts.asked(from_us, until_us.saturating_add(reach_us));
    let mut found = seen.judge(metric, &card.gaps, &all);
    if found.verdict == Verdict::Held
        && let Some(why) = not_about_the_fault(bench, metric, unsure_us, &seen)
    {
        (found.verdict, found.why) = (Verdict::Unknown, why);
    }
    if let Some(doubt) = bench.doubts.iter().find(|doubt| doubt.void) {
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
    }
}

/// Samples of the time around a short fault are not about it.
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
    let inside = |one: &&Sample| fault.iter().any(|stretch| within(one, stretch));
    (!seen.counted.iter().any(inside))
        .then(|| "no sample is about the fault alone: it was too short, or its edges are not sure".to_owned())
}

/// Whether all that a sample describes is certainly in a stretch.
fn within(sample: &Sample, stretch: &Stretch) -> bool {
    stretch.sure().start <= sample.from_us() && sample.at_us <= stretch.sure().end
}

/// Describes a metric's goal.
#[must_use]
pub fn goal_text(metric: &Metric) -> String {
    let during: Vec<_> = metric.during.iter().map(|phase| phase_word(*phase)).collect();
    format!("{} in {}", metric.goal.words(), format::list(&during))
}

/// Formats a number for people, with as many digits as it needs to be told from others.
#[must_use]
pub fn number(value: f64) -> String {
    let size = value.abs();
    if size >= f64::MAX {
        return if value > 0.0 { "infinite".to_owned() } else { "−infinite".to_owned() };
    }
    let text = match size {
        0.0 => return "0".to_owned(),
        size if !(1e-4..1e7).contains(&size) => return format!("{value:.3e}"),
        size if size >= 1000.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.3}"),
        _ => format!("{value:.6}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
