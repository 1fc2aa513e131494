//! Runs a plan: one event loop that receives events from agents, probes and people, and goes through the attacks.
//!
//! It never judges (`score` does that, from the same log) and touches hosts only through their agents. It claims
//! nothing that it does not see: everything goes into `events.jsonl` first.

mod approval_watch;
mod approvals;
mod boots;
mod bounds;
mod by_person;
mod clock;
mod collect;
mod ending;
mod error;
mod event_loop;
mod facts;
mod guards;
mod injections;
mod input;
mod options;
mod parts;
mod peers;
mod phases;
mod probe_specs;
mod proofs;
mod recorder;
mod salvage;
pub mod screen;
mod stop;
mod tasks;
mod tracked;
mod undo_socket;
mod vantages;
mod waiting;
mod watchers;

use std::sync::Arc;

pub(crate) use approval_watch::FILE as APPROVAL_FILE;
pub use approvals::Approvals;
pub use clock::RunClock;
pub use collect::{collect, unproven};
pub use error::RunError;
pub use options::{Finished, Options};
pub use phases::prepare::Answer;
pub use undo_socket::{Notified, UndoNotice, notify};

use crate::{
    log::{Event, Outcome, RunOutcome},
    plan::{Plan, model::COORDINATOR},
};
use approvals::ApprovalDesk;
use bounds::room_for;
use facts::Facts;
use parts::Run;
use phases::{
    attack::attacks,
    connect::{Whom, connect},
    heal::heal,
    prepare::{Refusal, barred, prepare},
    prove::{prove, stop_probes},
};
use recorder::Recorder;

/// Runs a plan to its end, whatever the outcome; heals everything that it touched before it returns.
///
/// # Errors
/// The log could not be created or written. Everything else is an outcome.
pub async fn run(plan: Plan, options: Options) -> Result<Finished, RunError> {
    let clock = RunClock::start();
    let id = clock.run_id(&plan.name);
    let folder = options.out.join(id.as_str());
    let mut recorder = Recorder::create(&folder, clock, options.observer)?;
    recorder.write(Event::RunStarted {
        run: id.clone(),
        plan: Box::new(plan.clone()),
        wall: clock.wall(),
        operator: options.operator.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        attempt: options.attempt,
    })?;
    recorder.write(Event::Clock {
        host: COORDINATOR.to_owned(),
        boot_at_zero_us: clock.zero_there(0),
        uncertainty_us: 0,
        boot_id: firedrill_probe::clock::boot_id(),
    })?;
    let facts = Facts::new(id.clone(), &Arc::new(plan), clock, options.operator, options.identity);
    let mut run = Run::new(facts, recorder, ApprovalDesk::new(options.approvals, folder.clone()));
    let whole = match whole(&mut run, options.plan_only).await {
        Ok((outcome, answers)) => {
            run.recorder.write(Event::RunEnded { outcome: outcome.clone() }).map(|()| (outcome, answers))
        }
        Err(error) => Err(error),
    };
    match whole {
        Ok((outcome, answers)) => Ok(Finished { run: id, folder, outcome, answers }),
        Err(error) => Err(salvage::salvage(&mut run, error).await),
    }
}

/// Connects, prepares, measures, attacks, heals, proves.
async fn whole(run: &mut Run, plan_only: bool) -> Result<(RunOutcome, Vec<Answer>), RunError> {
    watchers::signals(&run.tasks);
    watchers::pulse(&run.tasks, run.facts.clock);
    // The socket is kept until the run is over.
    let _socket = if plan_only { None } else { listen(run)? };
    if let Err(why) = connect(run, Whom::default()).await? {
        return Ok((refused(run, why)?, Vec::new()));
    }
    let all = 0..run.facts.plan.attacks.len();
    let answers = match prepare((&run.facts, &run.peers), &mut run.recorder, all, plan_only).await? {
        Ok(answers) => answers,
        Err(Refusal { why, answers, .. }) => return Ok((refused(run, why)?, answers)),
    };
    if plan_only {
        return Ok((RunOutcome::Completed, answers));
    }
    if let Err(why) = room_for((&run.facts, &run.peers), &mut run.recorder, 0).await? {
        return Ok((refused(run, why)?, answers));
    }
    if let Err(why) = run.vantages.start(&run.facts, &run.peers, &run.tasks).await {
        return Ok((refused(run, why)?, answers));
    }
    let outcome = attacks(run).await?;
    let undone_by = if run.injections.run_undone() { None } else { barred(&run.facts, &run.peers).await };
    run.ending.finish(undone_by);
    // Nothing is open here, unless a host could not be reached.
    heal(run, "the run is over").await?;
    stop_probes(run).await?;
    prove(run).await?;
    Ok((run.ending.outcome(outcome), answers))
}

/// Listens for an undo on this machine. Without that, agents still report one.
fn listen(run: &mut Run) -> Result<Option<undo_socket::SocketFile>, RunError> {
    let owner = undo_socket::Owner {
        run: run.facts.id.clone(),
        targets: run.facts.targets.iter().cloned().collect(),
        authority: run.facts.identity.authority().to_owned(),
    };
    match undo_socket::listen(owner, &run.tasks) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) => {
            let text =
                format!("an undo on this machine can tell this run to end only over its hosts: {error}");
            run.recorder.note(text)?;
            Ok(None)
        }
    }
}

/// Records that no attack runs.
fn refused(run: &mut Run, why: String) -> Result<RunOutcome, RunError> {
    for attack in 0..run.facts.plan.attacks.len() {
        run.recorder.ended(attack, Outcome::NotRun(format!("refused: {why}")), None)?;
    }
    Ok(RunOutcome::Refused(why))
}
