//! Finds the judged time that no sample is about, and the reasons.

use std::collections::BTreeMap;

use firedrill_plan::plan::model::{Metric, MetricGoal};

use super::goals::Seen;
use crate::{
    log::Lack,
    score::{
        metric_card::GapCard,
        part::Stretch,
        sampled::{SampledFacts, within},
    },
};

/// Returns the gaps of an objective in the judged time.
pub(super) fn gaps(
    metric: &Metric,
    facts: &SampledFacts<'_>,
    seen: &Seen<'_>,
    all: &[Stretch],
) -> Vec<GapCard> {
    // An increase needs only samples around the phases, and its judgement reports those that are missing.
    if matches!(metric.goal, MetricGoal::IncreaseBelow(_)) {
        return Vec::new();
    }
    let every = i64::try_from(metric.every.as_micros()).unwrap_or(i64::MAX / 8);
    let mut gaps = Vec::new();
    for stretch in all {
        let (start, end) = (stretch.sure().start, stretch.sure().end);
        let mut known = start;
        // A sample describes its window and the time since the sample before it. The first sample that counts may be late by
        // the age of the data of the samples across the edge.
        let across =
            seen.shown.iter().filter(|one| one.from_us() < start && (start..end).contains(&one.at_us));
        let age = across.map(|one| one.age_us).max().unwrap_or(0);
        let mut allowed = every.saturating_add(age);
        for one in seen.counted.iter().filter(|one| stretch.holds(one.from_us(), one.at_us)) {
            let from = one.from_us().min(one.at_us.saturating_sub(every));
            if from > known.saturating_add(allowed) {
                gaps.push((known, from));
            }
            known = known.max(one.at_us);
            allowed = every / 2;
        }
        if end > known.saturating_add(every).saturating_add(every / 2) {
            gaps.push((known, end));
        }
    }
    gaps.into_iter()
        .map(|(from_us, until_us)| GapCard {
            from_us,
            until_us,
            why: why(facts, seen, (from_us, until_us), every),
        })
        .collect()
}

/// Returns the reasons why no sample counts between two moments.
fn why(facts: &SampledFacts<'_>, seen: &Seen<'_>, (from_us, until_us): (i64, i64), every: i64) -> String {
    let after_us = from_us.saturating_add(1);
    let mut lacks: BTreeMap<Lack, (usize, u64)> = BTreeMap::new();
    for one in facts.samples(after_us, until_us) {
        let Some(lack) = one.lacks else { continue };
        let (count, lost) = lacks.entry(lack).or_default();
        (*count, *lost) = (*count + 1, lost.saturating_add(one.lost));
    }
    let lacking = |(lack, (count, lost)): (&Lack, &(usize, u64))| match lost {
        0 => samples(*count, lack.word()),
        lost => format!("{} ({lost} {})", samples(*count, lack.word()), lack.of_what()),
    };
    let mut reasons: Vec<String> = lacks.iter().map(lacking).collect();
    let fewer = within(&seen.fewer, |one| one.at_us, after_us, until_us).len();
    if fewer > 0 {
        reasons.push(samples(fewer, "of fewer series than before, so what left cannot be seen"));
    }
    // A question about the next moment might have had the missing sample.
    if let Some(text) = facts.failure(after_us, until_us.saturating_add(every)) {
        reasons.push(format!("the source did not answer ({text})"));
    }
    if reasons.is_empty() { "the source had no samples of that time".to_owned() } else { reasons.join(", ") }
}

/// Describes some samples: `2 samples stale`.
fn samples(count: usize, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} sample{s} {what}")
}
