//! Courses of made-up logs: steps by hand, approvals, and pauses.

use firedrill_judge::testing::Drill;
use firedrill_wire::api::Means;

use super::*;

#[test]
fn a_step_by_hand_is_asked_for_until_its_outcome_is_recorded() {
    use firedrill_judge::log::StepOutcome;
    use firedrill_plan::plan::model::{Does, Step, Then};
    let does = |undo: &str| Does::Manual { text: "pull it".to_owned(), undo: Some(undo.to_owned()) };
    let step = |name: &str, does| Step {
        name: name.to_owned(),
        before: 0,
        does,
        timeout: Span::secs(60),
        on_failure: Then::Stop,
    };
    let verify = Does::Check { argv: vec!["verify".to_owned(), "app1".to_owned()] };
    let steps = vec![step("cable", does("plug it in")), step("verify", verify)];
    let drill = Drill { steps, ..Drill::good() };
    let mut course = Course::default();
    course.apply(&drill.records()[0]);
    let apply = |course: &mut Course, event| {
        let record = Record { v: Record::VERSION, seq: course.seq + 1, at_us: 1, event };
        course.apply(&record);
    };
    let until = String::new;
    apply(&mut course, Event::StepBegan { step: 0, until_us: 9, until: until() });
    assert_eq!(course.stage(), "a person is to do \"cable\": pull it");
    let asks = course.asks().unwrap();
    assert_eq!((asks.number, asks.text.as_str(), asks.back), (1, "pull it", false));
    let by = Some("bob".to_owned());
    let outcome = StepOutcome::Done;
    let done = Event::StepEnded { step: 0, outcome, by: by.clone(), why: String::new(), program: None };
    apply(&mut course, done);
    assert!(course.asks().is_none() && course.stage() == "before the first attack", "{}", course.stage());
    apply(&mut course, Event::StepBegan { step: 1, until_us: 9, until: until() });
    assert_eq!(course.stage(), "step \"verify\" runs verify app1");
    assert!(course.asks().is_none(), "a program runs by itself, and nobody is asked");
    apply(&mut course, Event::PutBackAsked { step: 0, until_us: 9, until: until() });
    assert_eq!(course.stage(), "a person is to put back \"cable\": plug it in");
    assert!(course.asks().unwrap().back);
    apply(&mut course, Event::PutBackEnded { step: 0, outcome, by, why: String::new() });
    assert!(course.asks().is_none());
}

#[test]
fn a_run_is_followed_from_its_beginning_to_its_end() {
    let records = Drill::good().records();
    let mut course = Course::default();
    let (mut most, mut stages) = (0, Vec::new());
    for record in &records {
        course.apply(record);
        most = most.max(course.open.values().filter(|open| open.state == State::InForce).count());
        if stages.last() != Some(&course.stage()) {
            stages.push(course.stage());
        }
    }
    assert!(most > 0, "something was in force");
    assert!(course.open.is_empty() && course.outcome.is_some(), "{:?}", course.open);
    assert!(stages.iter().any(|stage| stage.starts_with("fault of \"")), "{stages:?}");
    assert_eq!(stages.last().map(String::as_str), Some("ended: it is complete"));
    assert_eq!(course.seq, records.last().unwrap().seq);
}

#[test]
fn approvals_are_told_with_their_means() {
    const YES: bool = true;
    const NO: bool = false;
    let mut course = Course::default();
    let mut apply = |event: Event| {
        course.apply(&Record { v: Record::VERSION, seq: course.seq + 1, at_us: 1, event });
        course.approvals(0)
    };
    let given = |by: &str, yes, means| Event::ApprovalGiven {
        attack: 0,
        by: by.to_owned(),
        yes,
        certificate: None,
        means,
    };
    assert_eq!(apply(Event::ApprovalAsked { attack: 0, people: 2 }), None);
    assert_eq!(apply(given("eve", NO, None)), None);
    apply(given("ann", YES, Some(Means::Passkey)));
    apply(given("bob", YES, Some(Means::Certificate)));
    let told = apply(given("cy", YES, None)).unwrap();
    assert_eq!(told, "approved by ann by passkey, bob by certificate, cy");
}

#[test]
fn a_pause_is_shown_with_its_end_until_the_run_goes_on() {
    let mut course = Course::default();
    let records = Drill::good().records();
    let apply = |course: &mut Course, event: Event| {
        course.apply(&Record { v: Record::VERSION, seq: course.seq + 1, at_us: course.at_us + 1, event });
    };
    let ends = |record: &Record| matches!(record.event, Event::AttackEnded { attack: 0, .. });
    let ended = records.iter().position(ends).unwrap();
    assert_eq!(Course::default().next(), None);
    records[..=ended].iter().for_each(|record| course.apply(record));
    let next = course.next().unwrap();
    assert_eq!((next.number, next.name.as_str()), (2, "lose fremont"));
    let bob = || "bob".to_owned();
    apply(&mut course, Event::PauseAsked { attack: 1, by: bob(), longest: Span::secs(600) });
    apply(&mut course, Event::SkipAsked { attack: 1, by: bob() });
    let wishes = [
        "bob asked for a pause before \"lose fremont\", for at most 10m.",
        "bob asked to skip \"lose fremont\".",
    ];
    assert_eq!(course.wishes(), wishes);
    let until = "2026-11-27T14:32:10Z".to_owned();
    apply(&mut course, Event::Paused { attack: 1, by: bob(), until_us: 1, until });
    assert_eq!(course.stage(), "paused by bob until 14:32:10 UTC, before \"lose fremont\"");
    assert_eq!(course.wishes(), wishes[1..]);
    let mut resumed = course.clone();
    apply(&mut resumed, Event::Resumed { attack: 1, by: bob() });
    assert!(resumed.paused.is_none());
    let outcome = Outcome::NotRun("skipped by bob".to_owned());
    apply(&mut course, Event::AttackEnded { attack: 1, outcome, verdict: None });
    assert!(course.paused.is_none() && course.wishes().is_empty() && course.next().is_none());
}
