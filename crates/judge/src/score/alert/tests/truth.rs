//! Verdicts against made-up systems whose truth is known.

use proptest::prelude::*;

use super::*;

/// A system whose truth is known.
#[derive(Clone, Debug)]
struct Truth {
    /// Stretches in which the alert fires: start, end, and whether people are notified.
    fires: Vec<(i64, i64, bool)>,
    polls: Vec<Poll>,
    limit: i64,
}

/// The longest time for which an alert may fire unseen: the time between two polls, and the time that an answer takes.
const MISSED_US: i64 = 2 * S;

impl Truth {
    /// Returns whether people are notified at a moment; `None` if the alert does not fire then.
    fn at(&self, us: i64) -> Option<bool> {
        self.fires.iter().find(|(from, until, _)| (*from..*until).contains(&us)).map(|(.., loud)| *loud)
    }

    /// Whether people were notified within the limit after `from_us`, for more than `least_us`.
    fn notified(&self, from_us: i64, least_us: i64) -> bool {
        let until = from_us + self.limit * S;
        self.fires.iter().any(|(from, to, loud)| *loud && (*to).min(until) - (*from).max(from_us) > least_us)
    }
}

prop_compose! {
    fn truths()(
        gaps in proptest::collection::vec((1_i64..40 * S, 1_i64..40 * S, any::<bool>()), 0..4),
        polls in proptest::collection::vec((0_i64..200_000, 1_i64..300_000, 0_i64..100, 0_u8..12, any::<bool>()), 120),
        bad in any::<bool>(),
        limit in 1_i64..45,
    ) -> Truth {
        let mut at = 0;
        let fires = gaps.into_iter().map(|(quiet, fires, loud)| {
            let from = at + quiet;
            at = from + fires;
            (from, at, loud)
        }).collect();
        let mut truth = Truth { fires, polls: vec![], limit };
        truth.polls = polls.into_iter().enumerate().map(|(second, (late, takes, part, fails, knows))| {
            let asked_us = i64::try_from(second).unwrap() * S + late;
            let seen = asked_us + takes * part / 100;
            let found = truth.fires.iter().find(|(from, until, _)| (*from..*until).contains(&seen));
            let firing = found.map(|(from, _, loud)| Firing {
                id: String::new(),
                since_us: knows.then_some((from - 300_000, from + 200_000)),
                forgotten_us: None,
                hushed: (!loud).then(|| "silenced".to_owned()),
            });
            let answer = if bad && fails == 0 { Err("down".to_owned()) } else { Ok(firing.into_iter().collect()) };
            Poll { asked_us, answered_us: asked_us + takes, answer }
        }).collect();
        truth
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_verdict_contradicts_the_truth(truth in truths()) {
        let course = course(truth.limit);
        let watch = Watch::new(truth.polls.clone(), S);
        let found = detected(&watch, &course);
        match found.verdict {
            Verdict::Held => {
                prop_assert!(truth.notified(course.fault_us, 0), "{found:?}");
                // What fires between two polls only is not seen.
                let seen = |(from, to, loud): &(i64, i64, bool)| {
                    *loud && (*from..*to).contains(&course.fault_us) && to - from > MISSED_US
                };
                prop_assert!(!truth.fires.iter().any(seen), "{found:?}");
            }
            Verdict::Violated => prop_assert!(!truth.notified(course.fault_us, MISSED_US), "{found:?}"),
            Verdict::Unknown => {}
        }
        let found = resolved(&watch, &course);
        let healed = 60 * S;
        let deadline = healed + truth.limit * S;
        match found.verdict {
            Verdict::Held => {
                // Between two polls it may have fired again, unseen.
                let late = deadline - MISSED_US..=deadline;
                let quiet = [*late.start(), deadline].iter().any(|at| truth.at(*at).is_none())
                    || truth.fires.iter().any(|(_, to, _)| late.contains(to));
                prop_assert!(quiet, "{found:?}");
            }
            Verdict::Violated => {
                let near = [deadline - MISSED_US, deadline, deadline + MISSED_US];
                prop_assert!(near.iter().any(|at| truth.at(*at).is_some()), "{found:?}");
            }
            Verdict::Unknown => {}
        }
    }

    #[test]
    fn answers_that_are_missing_would_not_reverse_a_verdict(truth in truths(), say in proptest::collection::vec(0_u8..3, 120)) {
        let course = course(truth.limit);
        let mut full = truth.polls.clone();
        for (poll, say) in full.iter_mut().zip(say).filter(|(poll, _)| poll.answer.is_err()) {
            poll.answer = Ok(match say { 0 => vec![], 1 => loud(), _ => hushed() });
        }
        let (some, full) = (Watch::new(truth.polls, S), Watch::new(full, S));
        for judge in [detected, resolved] {
            let (some, full) = (judge(&some, &course), judge(&full, &course));
            let reversed = some.verdict != Verdict::Unknown && full.verdict != Verdict::Unknown && some.verdict != full.verdict;
            prop_assert!(!reversed, "{some:?} {full:?}");
        }
    }
}
