//! Attacks that were not run, and pauses before an attack.

use super::*;

#[test]
fn an_attack_that_was_not_run_is_never_held() {
    let mut drill = Drill::good();
    drill.acts[1].outcome = crate::log::Outcome::NotRun("nobody approved".to_owned());
    drill.ends.truncate(1);
    let card = judged(&drill);
    assert_eq!((card.attacks[1].verdict, card.verdict), (None, Verdict::Unknown));
    assert_eq!(card.attacks[1].course, Course::NotRun("nobody approved".to_owned()));
    assert_eq!((card.ran, card.planned, card.exit), (1, 2, 3));
}

#[test]
fn a_refused_run_touched_nothing() {
    let mut drill = Drill::one();
    drill.acts[0].outcome = crate::log::Outcome::NotRun("app1 refused".to_owned());
    drill.outcome = Some(RunOutcome::Refused("app1: not allowed".to_owned()));
    drill.ends.clear();
    let card = judged(&drill);
    assert_eq!((card.verdict, card.exit), (Verdict::Unknown, Exit::Refused as u8));
}

#[test]
fn a_baseline_that_a_pause_ended_no_longer_counts() {
    let mut drill = Drill::one();
    let start = Drill::start(0);
    let card = judged(&drill);
    let pause = Event::Paused { attack: 0, by: "bob".to_owned(), until_us: 0, until: String::new() };
    let resumed = Event::Resumed { attack: 0, by: "bob".to_owned() };
    let anew = Event::Phase { attack: 0, phase: Phase::Baseline, until_us: start * S };
    let ended = start - BASELINE + 2;
    drill.extra = vec![(ended, pause), (ended + 3, resumed), (ended + 3, anew)];
    let paused = judged(&drill);
    let from = |card: &Scorecard| card.attacks[0].phases[0].from_us;
    assert_eq!(paused.attacks[0].phases[0].phase, Phase::Baseline);
    assert_eq!(from(&paused), (ended + 3) * S, "not {}", from(&card));
    assert_eq!(paused.verdict, card.verdict);
    // An attack that is skipped then has no baseline, and what failed during the pause is no cause.
    drill.extra.truncate(1);
    drill.acts[0].outcome = crate::log::Outcome::NotRun("skipped by bob".to_owned());
    let skipped = judged(&drill);
    assert_eq!(skipped.attacks[0].course, Course::NotRun("skipped by bob".to_owned()));
    assert!(skipped.attacks[0].causes.is_empty() && skipped.exit == Exit::Unknown as u8);
}
