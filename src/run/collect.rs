//! Finishes a run whose coordinator died: undoes open injections, collects the agents' events and measurements,
//! compares every host with its snapshot, and closes the log. If the run has ended, asks its unproven hosts
//! again. Missing data stays unknown. Never continues the attacks.

use std::{collections::BTreeSet, future::Future, path::Path, sync::Arc};

mod left;

pub use left::unproven;

use super::{
    approvals::{ApprovalDesk, Approvals},
    clock::RunClock,
    error::RunError,
    facts::Facts,
    handle::Handle,
    parts::Run,
    phases::{
        connect::{Whom, connect},
        heal::heal,
        prove::{prove, stop_probes},
    },
    recorder::Recorder,
    salvage::salvage,
    screen::Observer,
};
use crate::{
    link::Identity,
    log::{Event, RunOutcome, Writer},
    plan::{Plan, model::COORDINATOR},
};
use left::Left;

/// Begins to finish a run from its folder, or to ask the unproven hosts of an ended run again. The returned future does the work.
///
/// # Errors
/// The log cannot be read or written, now or later, or is not the log of a run.
pub fn collect(
    folder: &Path,
    identity: &Arc<Identity>,
    operator: &str,
    observer: Box<dyn Observer>,
) -> Result<(Handle, impl Future<Output = Result<RunOutcome, RunError>>), RunError> {
    let writer = Writer::resume(&folder.join("events.jsonl"))?;
    let Some(Event::RunStarted { run: id, plan, wall, .. }) =
        writer.log().records.first().map(|record| record.event.clone())
    else {
        return Err(RunError::NotALog(folder.to_path_buf()));
    };
    let left = Left::of(writer.log());
    let clock = RunClock::resume(&wall, left.zeros.get(COORDINATOR));
    let plan: Arc<Plan> = Arc::from(plan);
    let recorder = Recorder::resume(writer, clock, observer);
    let facts = Facts::new(id, plan, clock, operator.to_owned(), Arc::clone(identity));
    let no_approvals = ApprovalDesk::new(Approvals::default(), folder.to_owned());
    let mut run = Run::new(facts, recorder, no_approvals);
    run.ending.finish(None);
    let handle = Handle::new(run.facts.id.clone(), folder.to_owned(), run.tasks.mail());
    Ok((handle, async move {
        match finish(&mut run, left).await {
            Ok(outcome) => Ok(outcome),
            Err(error) => Err(salvage(&mut run, error).await),
        }
    }))
}

/// Heals, collects, proves, and writes the end. Returns the outcome of the run.
async fn finish(run: &mut Run, left: Left) -> Result<RunOutcome, RunError> {
    let plan = Arc::clone(&run.facts.plan);
    run.injections = left.tracked.into();
    let (ended, only) = left.outcome.unzip();
    let why = if ended.is_some() { "hosts were unproven" } else { "the coordinator had died" };
    run.recorder.note(format!("collected by {}: {why}", run.facts.operator))?;
    let whom = Whom { after: Some(&left.events), without: true, only: only.as_ref(), beside_others: true };
    if let Err(why) = connect((&run.facts, &run.tasks), &mut run.peers, &mut run.recorder, whom).await? {
        run.recorder.note(format!("not all is well: {why}"))?;
    }
    let touched = run.injections.hosts();
    run.peers.resume(|host| touched.contains(host) || only.is_some(), left.zeros);
    let vantages: BTreeSet<&String> = plan.probes.iter().flat_map(|probe| &probe.from).collect();
    for (host, agent) in run.peers.among(&vantages) {
        let after = left.bins.get(host).copied().unwrap_or(0);
        run.vantages.follow(host, agent, &run.facts.id, after, &run.tasks);
    }
    let logged: BTreeSet<&String> = plan.logs.iter().flat_map(|log| &log.on).collect();
    for (host, agent) in run.peers.among(&logged) {
        let names = plan.logs.iter().filter(|log| log.on.contains(host)).map(|log| log.spec.name.as_str());
        let after = left.logs.after(host, names);
        run.host_logs.follow(host, agent, (&run.facts.id, after, None), &run.tasks);
    }
    run.host_logs.resume(left.logs);
    let why = if ended.is_some() { "it may not have been put back" } else { "its coordinator died" };
    heal(run, why).await?;
    stop_probes(run).await?;
    if ended.is_none() {
        for (index, outcome) in left.attacks.open(plan.attacks.len(), |index| plan.alternatives(index)) {
            run.recorder.ended(index, outcome, None)?;
        }
    }
    prove(run).await?;
    // Events that agents sent meanwhile are on their way for another half second at most.
    run.pump_anyway(run.facts.now_us() + 500_000, |_| false).await?;
    let died = || RunOutcome::Failed("the coordinator died; collected afterwards".to_owned());
    let outcome = ended.unwrap_or_else(died);
    run.recorder.write(Event::RunEnded { outcome: outcome.clone() })?;
    Ok(outcome)
}
