//! Counts the causes of failed requests, for each phase, probe and vantage. Judges nothing.
//!
//! A bin is never divided: it counts in the phase in which its last bad request was due, or, without bad requests, in
//! the phase that contains its middle.

use std::collections::BTreeMap;

use firedrill_plan::plan::{
    Plan,
    model::{Attack, Phase},
};

use super::{card::CauseCard, facts::AttackFacts, phases::Phases, sample::Sample, samples::Samples};
use crate::log::Outcome;

/// Returns the moment that decides about a bin's phase.
#[must_use]
pub const fn placed_us(from_us: i64, until_us: i64, last_bad_us: Option<i64>) -> i64 {
    match last_bad_us {
        Some(at) => at,
        None => from_us.saturating_add(until_us.saturating_sub(from_us) / 2),
    }
}

/// Formats causes with their counts, the most frequent first: `timeout 10, status 503: 7`.
#[must_use]
pub fn text(causes: &BTreeMap<String, u64>) -> String {
    let mut all: Vec<(&String, &u64)> = causes.iter().collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let one = |(cause, count): &(&String, &u64)| {
        // Without the colon, a status and its count would look like one number.
        let colon = if cause.ends_with(|last: char| last.is_ascii_digit()) { ":" } else { "" };
        format!("{cause}{colon} {count}")
    };
    all.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Returns all failures of one attack: only phases, probes and vantages with bad or slipped requests.
pub(super) fn all(
    samples: &Samples<'_>,
    plan: &Plan,
    attack: &Attack,
    logged: &AttackFacts<'_>,
    phases: &Phases,
) -> Vec<CauseCard> {
    let not_run = matches!(logged.ended, Some((_, Outcome::NotRun(_) | Outcome::Spared(_))));
    let mut cards = Vec::new();
    for span in &phases.all {
        let until_us = match logged.baseline_until_us {
            // The attack did not go on after its baseline, so the baseline counts for its planned time only.
            Some(planned) if not_run && span.phase == Phase::Baseline => planned.min(span.until_us),
            _ => span.until_us,
        };
        let range = span.from_us..until_us;
        for probe in &plan.probes {
            for vantage in &probe.from {
                let samples = samples.get(&probe.name, vantage);
                let inside = samples.into_iter().flat_map(|sight| &sight.all).filter(|sample| {
                    let (from_us, until_us) = (sample.from_us, sample.until_us);
                    range.contains(&placed_us(from_us, until_us, sample.last_bad_us()))
                });
                let counts = !attack.injections.iter().any(|one| one.host == *vantage);
                let card = CauseCard {
                    phase: span.phase,
                    probe: probe.name.clone(),
                    vantage: vantage.clone(),
                    counts,
                    bad: 0,
                    causes: BTreeMap::new(),
                    slipped: 0,
                };
                let card = inside.fold(card, add);
                if card.bad > 0 || card.slipped > 0 {
                    cards.push(card);
                }
            }
        }
    }
    cards
}

/// Adds the failures of a bin.
fn add(mut card: CauseCard, sample: &Sample) -> CauseCard {
    card.bad = card.bad.saturating_add(sample.bad());
    card.slipped = card.slipped.saturating_add(sample.slipped());
    for (cause, count) in sample.causes() {
        let sum = card.causes.entry(cause.clone()).or_default();
        *sum = sum.saturating_add(*count);
    }
    card
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        log::Event,
        score::fold,
        testing::{BASELINE, Drill, HOLD, S},
    };

    #[test]
    fn causes_are_listed_with_their_counts() {
        let causes = [("timeout", 10), ("tls: unknown issuer", 3), ("status 503", 7)];
        let causes = causes.into_iter().map(|(cause, count)| (cause.to_owned(), count)).collect();
        assert_eq!(text(&causes), "timeout 10, status 503: 7, tls: unknown issuer 3");
        assert_eq!(text(&BTreeMap::new()), "");
    }

    #[test]
    fn failures_are_counted_by_phase_and_vantage() {
        let mut drill = Drill::one();
        drill.acts[0].bad = vec![(-5..-3, 10), (0..4, 3), (HOLD..HOLD + 2, 7)];
        drill.bins = Box::new(|vantage, _, mut bin| {
            if vantage == "canary" && bin.bad_total() == 3 {
                bin.bad = BTreeMap::from([("refused".to_owned(), 1), ("status 503".to_owned(), 2)]);
            }
            Some(bin)
        });
        let card = fold(&drill.records());
        let told: Vec<_> = card.attacks[0]
            .causes
            .iter()
            .map(|one| (one.phase, one.vantage.as_str(), one.bad, text(&one.causes)))
            .collect();
        let row = |phase, vantage, bad, text: &str| (phase, vantage, bad, text.to_owned());
        assert_eq!(
            told,
            [
                row(Phase::Baseline, "coordinator", 20, "timeout 20"),
                row(Phase::Baseline, "canary", 20, "timeout 20"),
                row(Phase::Fault, "coordinator", 12, "timeout 12"),
                row(Phase::Fault, "canary", 12, "status 503: 8, refused 4"),
                row(Phase::Recovery, "coordinator", 14, "timeout 14"),
                row(Phase::Recovery, "canary", 14, "timeout 14"),
            ]
        );
    }

    #[test]
    fn an_attack_that_did_not_run_has_the_causes_of_its_baseline() {
        let mut drill = Drill::one();
        drill.vantages.truncate(1);
        drill.acts[0].bad = vec![(-BASELINE..10, 30)];
        drill.acts[0].outcome = Outcome::NotRun("the baseline did not hold".to_owned());
        drill.ends.clear();
        let begun = Drill::start(0) - BASELINE;
        // The baseline ends ten seconds after the first record of the phase; measurements that came later do not
        // belong to it.
        let phase = Event::Phase { attack: 0, phase: Phase::Baseline, until_us: (begun + 10) * S };
        drill.extra = vec![(begun, phase)];
        let attack = &fold(&drill.records()).attacks[0];
        assert_eq!(attack.verdict, None);
        let [only] = attack.causes.as_slice() else { panic!("{:?}", attack.causes) };
        assert_eq!((only.phase, only.bad), (Phase::Baseline, 300));
    }
}
