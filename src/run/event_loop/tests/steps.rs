//! Steps by hand: answers of people, missing answers, and steps that are to be put back.

use firedrill_judge::log::StepOutcome;
use firedrill_plan::plan::model::{Does, Step, Then};

use super::*;
use crate::run::{phases::step::put_back, program::End, steps::Steps, wish::StepAnswer};

fn by_hand(name: &str, seconds: u64, on_failure: Then) -> Step {
    let does = Does::Manual { text: "Pull it.".to_owned(), undo: Some(format!("Plug {name} in.")) };
    Step { name: name.to_owned(), before: 0, does, timeout: Span::secs(seconds), on_failure }
}

/// A run with these steps before its only attack, which is skipped.
fn trial(steps: Vec<Step>) -> Trial {
    let trial = Trial::of(Plan { steps, ..Drill::one().plan() });
    trial.send(wish(Wants::Skip { attack: Some(0) }).0);
    trial
}

fn halt() -> Input {
    Input::Halt { by: "Ctrl-C".to_owned() }
}

/// Asks people to put steps back. Sends these inputs once somebody is asked. Returns the log.
async fn put_back_once(trial: &mut Trial, inputs: Vec<Input>) -> Vec<Event> {
    let sends = trial.sends_once("put-back-asked", inputs);
    let (done, ()) = tokio::join!(put_back(&mut trial.run), sends);
    done.unwrap();
    trial.log()
}

fn says(step: Option<usize>, answer: StepAnswer) -> (Input, oneshot::Receiver<Reply>) {
    wish(Wants::Step { step, answer, note: "it was stuck".to_owned() })
}

/// Returns the outcome, the person and the reason of each answer about a step.
fn outcomes(log: &[Event]) -> Vec<(StepOutcome, Option<&str>, &str)> {
    let ended = log.iter().filter_map(|event| match event {
        Event::StepEnded { outcome, by, why, .. } | Event::PutBackEnded { outcome, by, why, .. } => {
            Some((*outcome, by.as_deref(), why.as_str()))
        }
        _ => None,
    });
    ended.collect()
}

#[tokio::test]
async fn a_step_is_done_when_a_person_says_so_and_then_put_back() {
    let mut trial = trial(vec![by_hand("cable", 600, Then::Stop)]);
    let (other, refused) = says(Some(3), StepAnswer::Done);
    let (done, taken) = says(Some(0), StepAnswer::Done);
    let (outcome, mut log) = trial.attacks_once("step-began", vec![other, done]).await;
    assert_eq!(outcome, RunOutcome::Completed);
    let refusal = "it waits for step 1, \"cable\", and not for step 4".to_owned();
    assert_eq!(refused.await.unwrap(), Reply::Refused(refusal));
    assert_eq!(taken.await.unwrap(), Reply::Taken("it records step 1, \"cable\" as done".to_owned()));
    assert!(trial.run.steps.have_acted());
    // At the end of the run only answers about steps are taken.
    trial.run.ending.finish(None);
    let (skip, not_skipped) = says(None, StepAnswer::Skip);
    let (back, put) = says(None, StepAnswer::Back);
    log.extend(put_back_once(&mut trial, vec![skip, back]).await);
    assert!(matches!(not_skipped.await.unwrap(), Reply::Refused(why) if why.contains("nobody can skip")));
    assert_eq!(put.await.unwrap(), Reply::Taken("it records step 1, \"cable\" as put back".to_owned()));
    assert_eq!(
        names(&log),
        ["skip-asked", "step-began", "step-ended", "attack-ended", "put-back-asked", "put-back-ended"]
    );
    let bob = (StepOutcome::Done, Some("bob"), "it was stuck");
    assert_eq!(outcomes(&log), [bob, bob]);
    let said = trial.said().join("\n");
    assert!(
        said.contains("Pull it.")
            && said.contains("PUT BACK step 1, \"cable\"")
            && said.contains("Plug cable in."),
        "{said}"
    );
}

#[tokio::test]
async fn a_step_that_failed_or_got_no_answer_stops_the_run_if_the_scenario_says_so() {
    for (on_failure, seconds, answer, outcome, ended) in [
        (Then::Stop, 600, Some(StepAnswer::Failed), StepOutcome::Failed, "step 1, \"cable\" failed"),
        (
            Then::Stop,
            1,
            None,
            StepOutcome::Unknown,
            "step 1, \"cable\" is unknown: nobody said within 1s that it is done",
        ),
        (Then::Continue, 600, Some(StepAnswer::Failed), StepOutcome::Failed, ""),
        (Then::Continue, 1, None, StepOutcome::Unknown, ""),
        (Then::Stop, 600, Some(StepAnswer::Skip), StepOutcome::Skipped, ""),
    ] {
        let mut trial = trial(vec![by_hand("cable", seconds, on_failure)]);
        let inputs = answer.map(|answer| says(None, answer).0).into_iter().collect();
        let (run, log) = trial.attacks_once("step-began", inputs).await;
        let wanted =
            if ended.is_empty() { RunOutcome::Completed } else { RunOutcome::Failed(ended.to_owned()) };
        assert_eq!(run, wanted);
        assert_eq!(outcomes(&log)[0].0, outcome);
        assert_eq!(trial.run.steps.has_skipped(), outcome == StepOutcome::Skipped);
        // Only a step that was skipped has nothing to put back.
        assert_eq!(trial.run.steps.next_left().is_none(), outcome == StepOutcome::Skipped, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_halt_ends_the_wait_and_steps_that_had_begun_are_to_be_put_back() {
    let stop = |name: &str| by_hand(name, 600, Then::Stop);
    let steps = vec![by_hand("one", 1, Then::Continue), stop("two"), stop("three")];
    let mut trial = trial(steps);
    let (outcome, mut log) = trial.attacks_once("step-began\",\"step\":1", vec![halt()]).await;
    assert_eq!(outcome, RunOutcome::Stopped("stopped by Ctrl-C".to_owned()));
    // The first signal shows what the run waits for, and the second ends that wait. Steps are put back in reverse order.
    trial.run.ending.finish(None);
    log.extend(put_back_once(&mut trial, vec![halt(), halt()]).await);
    assert!(
        trial.said().iter().any(|text| text.contains("a person is to put back step 2, \"two\"")),
        "{:?}",
        trial.said()
    );
    let asked: Vec<usize> = log
        .iter()
        .filter_map(|event| match event {
            Event::PutBackAsked { step, .. } => Some(*step),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [1, 0], "the third did not begin");
}

#[tokio::test]
async fn a_late_or_second_answer_about_the_step_does_not_count_as_put_back() {
    let mut trial = trial(vec![by_hand("cable", 600, Then::Stop)]);
    let (early, not_yet) = says(None, StepAnswer::Back);
    let (_, mut log) = trial.attacks_once("step-began", vec![early, says(None, StepAnswer::Done).0]).await;
    assert!(matches!(not_yet.await.unwrap(), Reply::Refused(why) if why.contains("not to be put back yet")));
    trial.run.ending.finish(None);
    let (late, about_nothing) = says(Some(0), StepAnswer::Done);
    trial.send(late);
    let ((second, refused), (back, put)) = (says(Some(0), StepAnswer::Done), says(Some(0), StepAnswer::Back));
    log.extend(put_back_once(&mut trial, vec![second, back]).await);
    assert!(matches!(about_nothing.await.unwrap(), Reply::Refused(why) if why.contains("waits for no step")));
    assert!(matches!(refused.await.unwrap(), Reply::Refused(why) if why.contains("say back when it is")));
    assert!(matches!(put.await.unwrap(), Reply::Taken(what) if what.ends_with("as put back")));
    assert_eq!(outcomes(&log).len(), 2, "one answer about doing it, and one about putting it back: {log:?}");
}

#[tokio::test]
async fn no_step_begins_after_a_signal() {
    let mut trial = trial(vec![by_hand("cable", 600, Then::Stop)]);
    trial.send(halt());
    let (outcome, log) = trial.attacks_once("", vec![]).await;
    assert_eq!(outcome, RunOutcome::Stopped("stopped by Ctrl-C".to_owned()));
    assert!(!names(&log).contains(&"step-began".to_owned()), "{log:?}");
    assert_eq!(trial.run.steps.next_left(), None, "nobody was asked to do it");
}

#[tokio::test]
async fn signals_from_before_a_question_do_not_end_the_wait_for_its_answer() {
    let mut trial = trial(vec![by_hand("cable", 600, Then::Stop)]);
    let (_, mut log) = trial.attacks_once("step-began", vec![says(None, StepAnswer::Done).0]).await;
    for _ in 0..3 {
        trial.send(halt());
    }
    log.extend(put_back_once(&mut trial, vec![says(None, StepAnswer::Back).0]).await);
    assert_eq!(outcomes(&log)[1].0, StepOutcome::Done, "{log:?}");
}

#[tokio::test]
async fn an_answer_that_comes_with_a_signal_counts() {
    let mut trial = trial(vec![by_hand("cable", 600, Then::Stop)]);
    let inputs = vec![says(None, StepAnswer::Done).0, halt()];
    let (outcome, log) = trial.attacks_once("step-began", inputs).await;
    assert_eq!(outcome, RunOutcome::Stopped("stopped by Ctrl-C".to_owned()));
    assert_eq!(outcomes(&log), [(StepOutcome::Done, Some("bob"), "it was stuck")]);
}

#[test]
fn the_end_of_an_earlier_steps_program_does_not_end_a_step() {
    let end = || End { outcome: StepOutcome::Done, why: String::new(), program: None };
    let mut steps = Steps::default();
    steps.begins(1, &Does::Check { argv: vec!["true".to_owned()] });
    steps.program_ended(0, end());
    assert!(!steps.has_ended());
    steps.program_ended(1, end());
    assert!(steps.has_ended());
}

#[tokio::test]
async fn a_step_is_to_be_put_back_until_the_answer_is_in_the_log() {
    let mut trial = trial(vec![by_hand("cable", 600, Then::Stop)]);
    let answers = vec![says(None, StepAnswer::Done).0];
    trial.attacks_once("step-began", answers).await;
    let asked = trial.sends_once("put-back-asked", vec![Input::Restarted { vantage: "canary".to_owned() }]);
    tokio::select! {
        _ = put_back(&mut trial.run) => panic!("nobody has answered"),
        () = asked => {}
    }
    assert_eq!(trial.run.steps.next_left(), Some(0), "a run whose log fails here still asks a person");
    trial.run.steps.remove_left();
    assert_eq!(trial.run.steps.next_left(), None);
}
