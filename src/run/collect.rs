//! Finishes a run whose coordinator died: undoes open injections, collects the agents' events and measurements,
//! compares every host with its snapshot, and closes the log. For a run that has ended, it asks the unproven hosts
//! again. Missing data stays unknown.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use super::{
    Run, RunClock, RunError,
    clock::signed,
    recorder::Recorder,
    screen::Observer,
    tracked::Tracked,
    watchers::{self, Follow},
};
use crate::{
    link::Identity,
    log::{Event, Log, Outcome, RunOutcome, Writer},
    plan::model::COORDINATOR,
    score::{self, Scorecard},
};
use firedrill_wire::{api::HostState, journal::What};

/// Returns the hosts whose final state is unproven.
#[must_use]
pub fn unproven(card: &Scorecard) -> BTreeSet<String> {
    let hosts = card.hosts.iter().filter(|host| host.state == HostState::Unproven);
    hosts.map(|host| host.host.clone()).collect()
}

/// The state of an unfinished run, from its log.
struct Left {
    tracked: BTreeMap<firedrill_wire::InjectionId, Tracked>,
    events: BTreeMap<String, u64>,
    bins: BTreeMap<String, u64>,
    zeros: BTreeMap<String, BTreeMap<String, i64>>,
    begun: Option<usize>,
    ended: Vec<usize>,
    /// The outcome of the run, if it ended, and the hosts to ask again.
    outcome: Option<(RunOutcome, BTreeSet<String>)>,
}

impl Left {
    fn of(log: &Log) -> Self {
        let mut left = Self {
            tracked: BTreeMap::new(),
            events: BTreeMap::new(),
            bins: BTreeMap::new(),
            zeros: BTreeMap::new(),
            begun: None,
            ended: Vec::new(),
            outcome: None,
        };
        for record in &log.records {
            match &record.event {
                Event::Armed { attack, injection, host, start_us, hold, .. } => {
                    let tracked = Tracked::new(host.clone(), *attack, *start_us, *hold);
                    left.tracked.insert(injection.clone(), tracked);
                }
                Event::Agent { host, happened_us, what } => {
                    left.events.insert(host.clone(), what.seq);
                    if let What::Changed { injection, to, .. } = &what.what
                        && let Some(one) = left.tracked.get_mut(injection)
                    {
                        one.changed(*to, *happened_us);
                    }
                }
                Event::Clock { host, boot_at_zero_us, boot_id, .. } => {
                    left.zeros.entry(host.clone()).or_default().insert(boot_id.clone(), *boot_at_zero_us);
                }
                Event::Phase { attack, .. } => left.begun = Some(*attack),
                Event::AttackEnded { attack, .. } => left.ended.push(*attack),
                Event::RunEnded { outcome } => left.outcome = Some((outcome.clone(), BTreeSet::new())),
                _ => {}
            }
        }
        // Unreadable measurements are requested again.
        for streams in (0..log.chunks.len()).filter_map(|chunk| log.measured(chunk).ok()) {
            let mut newest = BTreeMap::<&str, u64>::new();
            for stream in &streams {
                let newest = newest.entry(&stream.vantage).or_default();
                *newest = stream.last_seq.max(*newest);
            }
            left.bins.extend(newest.into_iter().map(|(vantage, seq)| (vantage.to_owned(), seq)));
        }
        if let Some((_, hosts)) = &mut left.outcome {
            *hosts = unproven(&score::judge(log));
            left.tracked.retain(|_, one| hosts.contains(&one.host));
        }
        left
    }
}

/// Finishes a run from its folder, or asks the unproven hosts of an ended one again. Only heals and reads: it never
/// continues the attacks.
///
/// # Errors
/// The log cannot be read or written, or is not that of a run.
pub async fn collect(
    folder: &Path,
    identity: &Arc<Identity>,
    operator: &str,
    observer: Box<dyn Observer>,
) -> Result<RunOutcome, RunError> {
    let writer = Writer::resume(&folder.join("events.jsonl"))?;
    let Some(Event::RunStarted { run: id, plan, wall, .. }) =
        writer.log().records.first().map(|record| record.event.clone())
    else {
        return Err(RunError::NotALog(folder.to_path_buf()));
    };
    let left = Left::of(writer.log());
    let clock = RunClock::resume(&wall, left.zeros.get(COORDINATOR));
    let plan: Arc<crate::plan::Plan> = Arc::from(plan);
    let recorder = Recorder::resume(writer, clock, observer);
    let mut run = Run::new(id, &plan, clock, recorder, operator.to_owned());
    run.finishing = true;
    match run.finish_for_another(identity, left).await {
        Ok(outcome) => Ok(outcome),
        Err(error) => Err(run.salvage(error).await),
    }
}

impl Run {
    async fn finish_for_another(
        &mut self,
        identity: &Arc<Identity>,
        left: Left,
    ) -> Result<RunOutcome, RunError> {
        let run = self;
        let plan = Arc::clone(&run.plan);
        run.tracked = left.tracked;
        watchers::signals(&run.tasks);
        let operator = run.operator.clone();
        let (ended, only) = left.outcome.unzip();
        let why = if ended.is_some() { "hosts were unproven" } else { "the coordinator had died" };
        run.recorder.write(Event::Note { text: format!("collected by {operator}: {why}") })?;
        if let Err(why) = run.connect(identity, &left.events, true, only.as_ref()).await? {
            run.recorder.write(Event::Note { text: format!("not all is well: {why}") })?;
        }
        for (host, zeros) in left.zeros {
            if let Some(peer) = run.peers.get_mut(&host) {
                // Measurements of an earlier boot are placed by the clock of that boot.
                for (boot, zero) in zeros {
                    peer.zeros.entry(boot).or_insert(zero);
                }
            }
        }
        let touched: BTreeSet<String> = run.tracked.values().map(|one| one.host.clone()).collect();
        let vantages: BTreeSet<&String> = plan.probes.iter().flat_map(|probe| &probe.from).collect();
        for (host, peer) in &mut run.peers {
            peer.touched = touched.contains(host) || only.is_some();
            if vantages.contains(host) {
                run.measuring.insert(host.clone());
                let after = left.bins.get(host).copied().unwrap_or(0);
                let follow = Follow { run: run.id.clone(), after, again: None };
                watchers::bins(host.clone(), peer.agent.clone(), follow, &run.tasks);
            }
        }
        run.heal(if ended.is_some() { "it may not have been put back" } else { "its coordinator died" })
            .await?;
        run.stop_probes().await?;
        for index in 0..plan.attacks.len() {
            if ended.is_some() || left.ended.contains(&index) {
                continue;
            }
            let outcome = if left.begun == Some(index) {
                Outcome::Aborted("the coordinator died".to_owned())
            } else {
                Outcome::NotRun("the coordinator died before it".to_owned())
            };
            run.recorder.write(Event::AttackEnded { attack: index, outcome, verdict: None })?;
        }
        run.prove().await?;
        let until = run.clock.now_us() + signed(500_000);
        run.pump_anyway(until, |_| false).await?;
        let died = || RunOutcome::Failed("the coordinator died; collected afterwards".to_owned());
        let outcome = ended.unwrap_or_else(died);
        run.recorder.write(Event::RunEnded { outcome: outcome.clone() })?;
        Ok(outcome)
    }
}
