//! Steps by hand: what people say, what nobody says, and what is to be put back.

use firedrill_judge::log::StepOutcome;
use firedrill_plan::plan::model::{Does, Step, Then};

use super::*;
use crate::run::{phases::step::put_back, wish::StepAnswer};

fn by_hand(name: &str, seconds: u64, on_failure: Then) -> Step {
    let does = Does::Manual { text: "Pull it.".to_owned(), undo: Some(format!("Plug {name} in.")) };
    Step { name: name.to_owned(), before: 0, does, timeout: Span::secs(seconds), on_failure }
}

/// A run whose one attack is skipped, after these steps.
fn trial(steps: Vec<Step>) -> Trial {
    let trial = Trial::of(Plan { steps, ..Drill::one().plan() });
    trial.send(wish(Wants::Skip { attack: Some(0) }).0);
    trial
}

fn says(step: Option<usize>, answer: StepAnswer) -> (Input, oneshot::Receiver<Reply>) {
    wish(Wants::Step { step, answer, note: "it was stuck".to_owned() })
}

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
    assert_eq!(taken.await.unwrap(), Reply::Taken("it takes step 1, \"cable\" for done".to_owned()));
    assert!(trial.run.steps.have_acted());
    // At the end of the run, which takes no other wish.
    trial.run.ending.finish(None);
    let (skip, not_skipped) = says(None, StepAnswer::Skip);
    let (back, put) = says(None, StepAnswer::Done);
    trial.send(skip);
    trial.send(back);
    put_back(&mut trial.run).await.unwrap();
    assert!(matches!(not_skipped.await.unwrap(), Reply::Refused(why) if why.contains("nobody can skip")));
    assert_eq!(put.await.unwrap(), Reply::Taken("it takes step 1, \"cable\" for put back".to_owned()));
    log.extend(trial.log());
    assert_eq!(
        names(&log),
        ["step-began", "skip-asked", "step-ended", "attack-ended", "put-back-asked", "put-back-ended"]
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
async fn a_step_that_failed_or_of_which_nobody_says_anything_stops_the_run_if_the_scenario_says_so() {
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
        // Only of a step that was left out nothing is to be put back.
        assert_eq!(trial.run.steps.take_left().is_empty(), outcome == StepOutcome::Skipped, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_halt_ends_the_wait_and_what_was_begun_is_to_be_put_back() {
    let stop = |name: &str| by_hand(name, 600, Then::Stop);
    let steps = vec![by_hand("one", 1, Then::Continue), stop("two"), stop("three")];
    let mut trial = trial(steps);
    let halt = || Input::Halt { by: "Ctrl-C".to_owned() };
    let (outcome, mut log) = trial.attacks_once("step-began\",\"step\":1", vec![halt()]).await;
    assert_eq!(outcome, RunOutcome::Stopped("stopped by Ctrl-C".to_owned()));
    // One signal shows what is waited for, and the next one ends the wait; the last step comes first.
    trial.run.ending.finish(None);
    trial.send(halt());
    trial.send(halt());
    put_back(&mut trial.run).await.unwrap();
    assert!(
        trial.said().iter().any(|text| text.contains("a person is to put back step 2, \"two\"")),
        "{:?}",
        trial.said()
    );
    log.extend(trial.log());
    let asked: Vec<usize> = log
        .iter()
        .filter_map(|event| match event {
            Event::PutBackAsked { step, .. } => Some(*step),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [1, 0], "the third did not begin");
}
