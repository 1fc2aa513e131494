//! Steps between attacks: their verdicts, and what may be left of them.

use firedrill_plan::plan::model::{Does, Step, Then};
use firedrill_wire::Span;

use super::super::{Scorecard, fold};
use crate::{
    log::{Event, ProgramEnd, RunOutcome, StepOutcome},
    testing::Drill,
    verdict::{Exit, Verdict},
};

fn step(does: Does) -> Step {
    Step { name: "a step".to_owned(), before: 0, does, timeout: Span::secs(60), on_failure: Then::Continue }
}

fn check() -> Does {
    Does::Check { argv: vec!["./verify.sh".to_owned(), "--token=abc123def".to_owned()] }
}

fn by_hand(undo: bool) -> Does {
    let undo = undo.then(|| "Put the cable back.".to_owned());
    Does::Manual { text: "Pull the cable.".to_owned(), undo }
}

fn began() -> Event {
    Event::StepBegan { step: 0, until_us: 0, until: String::new() }
}

fn ended(outcome: StepOutcome) -> Event {
    let program =
        Some(ProgramEnd { exit: Some(0), took_us: 7, lines: vec!["all well".to_owned()], left_out: 0 });
    Event::StepEnded { step: 0, outcome, by: Some("bob".to_owned()), why: String::new(), program }
}

fn put_back_asked() -> Event {
    Event::PutBackAsked { step: 0, until_us: 0, until: String::new() }
}

fn put_back(outcome: StepOutcome) -> Event {
    Event::PutBackEnded { step: 0, outcome, by: Some("ann".to_owned()), why: String::new() }
}

/// Judges a drill whose attack holds, with one step and these records about it.
fn judged(does: Does, events: &[Event]) -> Scorecard {
    let mut drill = Drill::one();
    drill.steps = vec![step(does)];
    drill.extra = events.iter().cloned().map(|event| (1, event)).collect();
    fold(&drill.records())
}

#[test]
fn a_check_has_a_verdict_and_a_preparation_that_was_done_has_none() {
    use StepOutcome::{Done, Failed, Skipped, Unknown};
    let command = || Does::Command { argv: vec!["./seed.sh".to_owned()] };
    for (does, outcome, own, whole) in [
        (check(), Done, Some(Verdict::Held), Verdict::Held),
        (check(), Failed, Some(Verdict::Violated), Verdict::Violated),
        (check(), Unknown, Some(Verdict::Unknown), Verdict::Unknown),
        (check(), Skipped, None, Verdict::Unknown),
        (command(), Done, None, Verdict::Held),
        (command(), Failed, Some(Verdict::Unknown), Verdict::Unknown),
        (by_hand(false), Done, None, Verdict::Held),
        (by_hand(false), Failed, Some(Verdict::Unknown), Verdict::Unknown),
        (by_hand(false), Unknown, Some(Verdict::Unknown), Verdict::Unknown),
        (by_hand(false), Skipped, None, Verdict::Unknown),
    ] {
        let card = judged(does.clone(), &[began(), ended(outcome)]);
        assert_eq!(
            (card.steps[0].verdict, card.verdict),
            (own, whole),
            "{does:?} {outcome:?}: {:?}",
            card.why
        );
        assert_eq!(card.why.is_empty(), whole == Verdict::Held, "{:?}", card.why);
    }
}

#[test]
fn the_story_tells_of_a_check_that_failed_though_all_attacks_held() {
    let story = judged(check(), &[began(), ended(StepOutcome::Failed)]).story;
    assert!(story.contains("held, but the run is violated: step “a step” failed"), "{story}");
}

#[test]
fn a_step_that_did_not_begin_or_end_is_never_held() {
    for events in [vec![], vec![began()]] {
        let card = judged(check(), &events);
        assert_eq!((card.verdict, card.exit), (Verdict::Unknown, Exit::Unknown as u8), "{events:?}");
    }
}

#[test]
fn a_step_that_no_person_says_was_put_back_may_be_in_force() {
    use StepOutcome::{Done, Failed, Skipped, Unknown};
    for (events, is_back) in [
        (vec![], true),
        (vec![began(), ended(Skipped)], true),
        (vec![began(), ended(Done), put_back_asked(), put_back(Done)], true),
        (vec![began(), ended(Failed), put_back_asked(), put_back(Done)], true),
        (vec![began()], false),
        (vec![began(), ended(Done)], false),
        (vec![began(), ended(Failed)], false),
        (vec![began(), ended(Unknown), put_back_asked()], false),
        (vec![began(), ended(Done), put_back_asked(), put_back(Failed)], false),
        (vec![began(), ended(Done), put_back_asked(), put_back(Unknown)], false),
    ] {
        let card = judged(by_hand(true), &events);
        assert_eq!(card.steps[0].back.as_ref().unwrap().is_back, is_back, "{events:?}");
        assert_eq!(card.exit == Exit::Unclean as u8, !is_back, "{events:?}: {}", card.exit);
        assert!(is_back || card.verdict == Verdict::Unknown, "{events:?}: {:?}", card.verdict);
        let is_warned = card.why.iter().any(|why| why.contains("may still be in force"));
        assert_eq!(is_warned, !is_back, "{:?}", card.why);
    }
    // Nothing has to be put back of a step without `undo`, but the plan says that Firedrill cannot do it.
    assert!(judged(by_hand(false), &[began(), ended(Done)]).steps[0].back.is_none());
}

#[test]
fn a_refusal_after_a_step_by_hand_is_unclean() {
    let mut drill = Drill::one();
    drill.steps = vec![step(by_hand(true))];
    drill.extra = vec![(1, began()), (1, ended(StepOutcome::Done))];
    drill.acts[0].outcome = crate::log::Outcome::NotRun("its baseline did not hold".to_owned());
    drill.outcome = Some(RunOutcome::Refused("its baseline did not hold".to_owned()));
    drill.ends.clear();
    assert_eq!(fold(&drill.records()).exit, Exit::Unclean as u8);
}

#[test]
fn no_secret_of_a_program_is_in_the_log_or_the_report() {
    let mut drill = Drill::one();
    drill.steps = vec![step(check())];
    drill.extra = vec![(1, began()), (1, ended(StepOutcome::Done))];
    let log: String = drill.records().iter().map(|one| serde_json::to_string(one).unwrap()).collect();
    let card = fold(&drill.records());
    assert!(card.steps[0].says.starts_with("./verify.sh ") && !card.steps[0].says.contains("abc123def"));
    assert!(log.contains("./verify.sh") && !log.contains("abc123def"));
}
