//! The steps before an attack and after the last one: asks a person to act, or runs a program. At the end of the run, asks people to put
//! back what they did by hand.

use std::sync::Arc;

use firedrill_wire::Span;

use super::{
    super::{
        clock::signed,
        error::RunError,
        input::Input,
        parts::Run,
        program::{End, Program, folder, lacking},
        steps::named,
        stop::Stop,
    },
    turn::unconfirmed,
};
use crate::{
    log::{Event, StepOutcome},
    plan::{
        Plan,
        model::{Step, Then},
    },
};

/// Time after a program's limit for its end to be reported.
const REPORT: Span = Span::secs(10);
/// Maximum time to process the inputs that have arrived.
const PENDING: Span = Span::secs(1);

/// Returns the reason why a program of a step cannot be run on this machine; `None` if all programs can.
pub(crate) fn no_program(plan: &Plan) -> Option<String> {
    let folder = folder(&plan.file);
    plan.steps.iter().enumerate().find_map(|(place, step)| {
        let why = lacking(step.does.argv()?.first()?, &folder)?;
        Some(format!("{} cannot be run here: {why}", named(plan, place)))
    })
}

/// Takes the steps before an attack, one after another; with the number of all attacks, those after the last attack. The inner error is the
/// reason why the run must stop.
pub(crate) async fn steps(run: &mut Run, attack: usize) -> Result<Result<(), Stop>, RunError> {
    let plan = Arc::clone(&run.facts.plan);
    for (place, step) in plan.steps_before(attack) {
        // People and programs must not act while a fault may be in force.
        if let Some(why) = unconfirmed(run) {
            return Ok(Err(Stop::Failed(why)));
        }
        // A signal may have come since the last look at the inbox. Then nothing begins.
        let until_us = run.facts.now_us() + signed(PENDING.as_micros());
        if let Err(stop) = run.pump(until_us, |run| run.inbox.is_empty()).await? {
            return Ok(Err(stop));
        }
        if let Err(stop) = take_step(run, place, step).await? {
            return Ok(Err(stop));
        }
    }
    Ok(Ok(()))
}

/// Takes one step, and decides by its outcome whether the run goes on.
async fn take_step(run: &mut Run, place: usize, step: &Step) -> Result<Result<(), Stop>, RunError> {
    let until_us = run.facts.now_us() + signed(step.timeout.as_micros());
    let until = run.facts.clock.wall_at(until_us);
    // The record comes before the question: if the log fails here, nobody was asked to act, so nobody has to put anything back.
    run.recorder.write(Event::StepBegan { step: place, until_us, until })?;
    run.steps.begins(place, &step.does);
    let ended = match step.does.argv() {
        None => by_hand(run, place, step, until_us).await?,
        Some(argv) => by_program(run, place, step, argv).await?,
    };
    let (outcome, why) = match ended {
        Ok(ended) => ended,
        Err(stop) => return Ok(Err(stop)),
    };
    let failed = matches!(outcome, StepOutcome::Failed | StepOutcome::Unknown);
    if failed && step.on_failure == Then::Stop {
        let name = named(&run.facts.plan, place);
        let ended = if outcome == StepOutcome::Failed { "failed" } else { "is unknown" };
        let colon = if why.is_empty() { "" } else { ": " };
        return Ok(Err(Stop::Failed(format!("{name} {ended}{colon}{why}"))));
    }
    Ok(Ok(()))
}

/// The outcome of a step, and the reason; or the reason why the run must stop.
type Ended = Result<(StepOutcome, String), Stop>;

/// Asks a person to act, and waits for the answer.
async fn by_hand(run: &mut Run, place: usize, step: &Step, until_us: i64) -> Result<Ended, RunError> {
    let (name, id) = (named(&run.facts.plan, place), run.facts.id.clone());
    run.recorder.say(&format!(
        "{name}, by hand within {}: {}\n  then `firedrill step {id} done --step {}`, or `failed`, or `skip`",
        step.timeout,
        step.does.said(),
        place.saturating_add(1)
    ));
    let waited = run.pump(until_us, |run| run.steps.answered().is_some()).await?;
    // An answer counts also if the run has to stop: it is in the log already.
    if let Some(outcome) = run.steps.answered() {
        return Ok(waited.map(|_| (outcome, String::new())));
    }
    run.steps.withdraw_question();
    let outcome = StepOutcome::Unknown;
    let why = match &waited {
        Err(stop) => format!("the run had to stop: {}", stop.reason()),
        Ok(_) => format!("nobody said within {} that it is done", step.timeout),
    };
    let event = Event::StepEnded { step: place, outcome, by: None, why: why.clone(), program: None };
    run.recorder.write(event)?;
    Ok(waited.map(|_| (outcome, why)))
}

/// Runs the program of a step, and waits for its end.
async fn by_program(run: &mut Run, place: usize, step: &Step, argv: &[String]) -> Result<Ended, RunError> {
    let program = Program {
        argv: argv.to_vec(),
        folder: folder(&run.facts.plan.file),
        limit: step.timeout,
        run: run.facts.id.to_string(),
    };
    // The program is killed when the guard is dropped.
    let (calls, _end_with_this) = run.tasks.until_dropped();
    let mail = calls.clone();
    calls.spawn(async move { _ = mail.send(Input::StepRan { step: place, end: program.run().await }) });
    let until_us = run.facts.now_us() + signed((step.timeout + REPORT).as_micros());
    let waited = run.pump(until_us, |run| run.steps.has_ended()).await?;
    let unknown = |why: String| End { outcome: StepOutcome::Unknown, why, program: None };
    let end = match (&waited, run.steps.take_end()) {
        (_, Some(end)) => end,
        (Err(stop), None) => unknown(format!("it was ended, because the run had to stop: {}", stop.reason())),
        (Ok(_), None) => unknown("nothing tells how it ended".to_owned()),
    };
    let End { outcome, why, program } = end;
    run.recorder.write(Event::StepEnded { step: place, outcome, by: None, why: why.clone(), program })?;
    Ok(waited.map(|_| (outcome, why)))
}

/// Asks people to put back what they did by hand, the last step first. Only an answer, the step's time-out, or a second signal ends the wait
/// for a step.
pub(crate) async fn put_back(run: &mut Run) -> Result<(), RunError> {
    let plan = Arc::clone(&run.facts.plan);
    // Signals and answers that have arrived are not about these questions, so they are processed before.
    let until_us = run.facts.now_us() + signed(PENDING.as_micros());
    run.pump_anyway(until_us, |run| run.inbox.is_empty()).await?;
    run.steps.begin_putting_back();
    while let Some(place) = run.steps.next_left() {
        let Some((step, undo)) = plan.steps.get(place).and_then(|step| Some((step, step.does.undo()?)))
        else {
            run.steps.remove_left();
            continue;
        };
        let until_us = run.facts.now_us() + signed(step.timeout.as_micros());
        let until = run.facts.clock.wall_at(until_us);
        run.steps.asks_back(place);
        run.recorder.write(Event::PutBackAsked { step: place, until_us, until })?;
        let (name, id) = (named(&plan, place), run.facts.id.clone());
        run.recorder.say(&format!(
            "PUT BACK {name}, by hand within {}: {undo}\n  then `firedrill step {id} back --step {}`, or `failed`",
            step.timeout,
            place.saturating_add(1)
        ));
        let over = |run: &Run| run.steps.answered().is_some() || run.steps.is_given_up();
        run.pump_anyway(until_us, over).await?;
        if run.steps.answered().is_some() {
            run.steps.remove_left();
            continue;
        }
        let why = if run.steps.is_given_up() {
            "the run was told to wait no more".to_owned()
        } else {
            format!("nobody said so within {}", step.timeout)
        };
        run.steps.withdraw_question();
        let outcome = StepOutcome::Unknown;
        run.recorder.write(Event::PutBackEnded { step: place, outcome, by: None, why })?;
        run.steps.remove_left();
    }
    Ok(())
}
