//! Runs a plan: one event loop that receives events from agents, probes and people, and goes through the attacks.
//!
//! It never judges (`score` does that, from the same log) and touches hosts only through their agents. It claims
//! nothing that it does not see: everything goes into `events.jsonl` first.

mod approve;
mod arm;
mod attack;
mod baseline;
mod bounds;
mod clock;
mod collect;
mod error;
mod event_loop;
mod exchange;
mod guard;
mod heal;
mod input;
mod options;
mod prepare;
mod recorder;
pub mod screen;
mod stop;
mod tasks;
mod tracked;
mod undo_socket;
mod vantage;
mod watchers;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use firedrill_probe::Running;
use firedrill_wire::{InjectionId, RunId, api::HostState, journal::State, probe::Bin};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use approve::Approvals;
pub(crate) use approve::FILE as APPROVAL_FILE;
pub use clock::RunClock;
pub use collect::{collect, unproven};
pub use error::RunError;
pub use options::{Finished, Options};
pub use prepare::Answer;
pub use undo_socket::{Notified, UndoNotice, notify};

use crate::{
    link::{Agent, Identity},
    log::{Event, Outcome, RunOutcome},
    plan::{Plan, model::COORDINATOR},
};
use input::Input;
use recorder::Recorder;
use stop::Stop;
use tasks::Tasks;
use tracked::Tracked;

/// A host of the run.
struct Peer {
    agent: Agent,
    /// CLOCK_BOOTTIME at the run's time 0, by boot id.
    zeros: BTreeMap<String, i64>,
    boot_id: String,
    reachable: bool,
    /// Whether something was armed on it. A touched host has to be healed and proven clean.
    touched: bool,
    /// Whether its lease is being renewed.
    active: watch::Sender<bool>,
    /// Number of its newest event in the log.
    last_seq: u64,
    /// Bins from a boot whose clock was not measured yet.
    early: Vec<Bin>,
}

/// The state of a run.
struct Run {
    id: RunId,
    plan: Arc<Plan>,
    digest: String,
    /// The hosts that faults of the plan touch.
    targets: BTreeSet<String>,
    /// The hosts that faults of the plan take down.
    down: BTreeSet<String>,
    clock: RunClock,
    recorder: Recorder,
    peers: BTreeMap<String, Peer>,
    tracked: BTreeMap<InjectionId, Tracked>,
    /// Injections whose undo this run has requested, with the time of the first request. A requested undo without an
    /// entry, or one before that time, came from a person.
    asked: BTreeMap<InjectionId, i64>,
    /// The undo or halt by a person that became known after the attacks.
    undone_by: Option<String>,
    /// Whether this run has requested the undo of all its injections.
    undone: bool,
    inbox: mpsc::UnboundedReceiver<Input>,
    guard: guard::Watch,
    stop: Option<Stop>,
    tasks: Tasks,
    approvals: Approvals,
    /// The identity of the run; approvals are verified by its trust anchors.
    identity: Option<Arc<Identity>>,
    /// The folder of log, reports and approvals.
    folder: PathBuf,
    operator: String,
    measuring: BTreeSet<String>,
    /// Cancelled when vantages are to stop measuring; until then they are started again when their agent restarts.
    probing: CancellationToken,
    local: Option<Running>,
    /// The attack that waits for approval.
    asking: Option<usize>,
    /// Whether the terminal is read.
    listening: bool,
    /// Final states of touched hosts; `None` while a host is asked.
    proofs: BTreeMap<String, Option<HostState>>,
    /// Reasons why hosts have not answered yet.
    silence: BTreeMap<String, String>,
    /// Whether the attacks are over.
    finishing: bool,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.tasks.end();
        self.probing.cancel();
        if let Some(local) = self.local.take() {
            local.stop();
        }
        self.recorder.close();
    }
}

/// Runs a plan to its end, whatever the outcome; heals everything that it touched before it returns.
///
/// # Errors
/// The log could not be created or written. Everything else is an outcome.
pub async fn run(plan: Plan, options: Options) -> Result<Finished, RunError> {
    let clock = RunClock::start();
    let id = clock.run_id(&plan.name);
    let folder = options.out.join(id.as_str());
    let recorder = Recorder::create(&folder, clock, options.observer)?;
    let plan = Arc::new(plan);
    let mut run = Run::new(id.clone(), &plan, clock, recorder, options.operator.clone());
    run.approvals = options.approvals;
    run.identity = Some(Arc::clone(&options.identity));
    run.folder.clone_from(&folder);
    run.recorder.write(Event::RunStarted {
        run: id.clone(),
        plan: Box::new((*plan).clone()),
        wall: clock.wall(),
        operator: options.operator,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        attempt: options.attempt,
    })?;
    run.recorder.write(Event::Clock {
        host: COORDINATOR.to_owned(),
        boot_at_zero_us: clock.zero_there(0),
        uncertainty_us: 0,
        boot_id: firedrill_probe::clock::boot_id(),
    })?;
    let whole = match run.whole(&options.identity, options.plan_only).await {
        Ok((outcome, answers)) => {
            run.recorder.write(Event::RunEnded { outcome: outcome.clone() }).map(|()| (outcome, answers))
        }
        Err(error) => Err(error),
    };
    match whole {
        Ok((outcome, answers)) => Ok(Finished { run: id, folder, outcome, answers }),
        Err(error) => Err(run.salvage(error).await),
    }
}

impl Run {
    fn new(id: RunId, plan: &Arc<Plan>, clock: RunClock, recorder: Recorder, operator: String) -> Self {
        let (tasks, inbox) = Tasks::new();
        let injections = plan.attacks.iter().flat_map(|attack| &attack.injections);
        let down = injections.filter(|one| one.fault.takes_host_down()).map(|one| one.host.clone()).collect();
        Self {
            digest: plan.digest(),
            targets: plan.targets().into_iter().map(str::to_owned).collect(),
            down,
            guard: guard::Watch::new(plan),
            id,
            clock,
            recorder,
            peers: BTreeMap::new(),
            tracked: BTreeMap::new(),
            asked: BTreeMap::new(),
            undone_by: None,
            undone: false,
            inbox,
            stop: None,
            tasks,
            approvals: Approvals::default(),
            identity: None,
            folder: PathBuf::new(),
            operator,
            measuring: BTreeSet::new(),
            probing: CancellationToken::new(),
            local: None,
            asking: None,
            listening: false,
            proofs: BTreeMap::new(),
            silence: BTreeMap::new(),
            finishing: false,
            plan: Arc::clone(plan),
        }
    }

    /// Heals and compares all hosts after the log failed (a full disk, for example). Nothing more is recorded in the
    /// file.
    async fn salvage(&mut self, error: RunError) -> RunError {
        let RunError::Log(source) = error else { return error };
        self.recorder.give_up_file();
        self.recorder.say(&format!("{source}; everything is put back now"));
        self.finishing = true;
        // The file was given up, so nothing below fails because of the log.
        let _ = self.heal("the log cannot be written").await;
        let _ = self.stop_probes().await;
        let _ = self.prove().await;
        let outcome = RunOutcome::Failed(format!("its log broke: {source}"));
        let _ = self.recorder.write(Event::RunEnded { outcome });
        let left =
            self.proofs.iter().filter(|(_, end)| !matches!(end, Some(HostState::Clean | HostState::Gone)));
        let left = left.map(|(host, _)| host.clone()).collect();
        let mut whole = self.recorder.take_log();
        whole.warnings.push(format!("the file is incomplete: {source}"));
        RunError::Broken { source, left, whole: Box::new(whole) }
    }

    /// Connects, prepares, measures, attacks, heals, proves.
    async fn whole(
        &mut self,
        identity: &Arc<Identity>,
        plan_only: bool,
    ) -> Result<(RunOutcome, Vec<Answer>), RunError> {
        watchers::signals(&self.tasks);
        watchers::pulse(&self.tasks, self.clock);
        self.identity = Some(Arc::clone(identity));
        let owner = undo_socket::Owner {
            run: self.id.clone(),
            targets: self.targets.iter().cloned().collect(),
            authority: identity.authority().to_owned(),
        };
        // The socket is kept until the run is over. Without it, agents still report an undo.
        let _socket = if plan_only {
            None
        } else {
            match undo_socket::listen(owner, &self.tasks) {
                Ok(socket) => Some(socket),
                Err(error) => {
                    let text = format!(
                        "an undo on this machine can tell this run to end only over its hosts: {error}"
                    );
                    self.recorder.write(Event::Note { text })?;
                    None
                }
            }
        };
        if let Err(why) = self.connect(identity, &BTreeMap::new(), false, None).await? {
            return Ok((self.refused(why)?, Vec::new()));
        }
        let answers = match self.prepare_all(plan_only).await? {
            Ok(answers) => answers,
            Err(refusal) => return Ok((self.refused(refusal.why)?, refusal.answers)),
        };
        if plan_only {
            return Ok((RunOutcome::Completed, answers));
        }
        if let Err(why) = self.room_for(0).await? {
            return Ok((self.refused(why)?, answers));
        }
        if let Err(why) = self.start_probes().await? {
            return Ok((self.refused(why)?, answers));
        }
        let outcome = self.attacks().await?;
        if !self.undone {
            self.undone_by = self.barred().await;
        }
        self.finishing = true;
        // Nothing is open here, unless a host could not be reached.
        self.heal("the run is over").await?;
        self.stop_probes().await?;
        self.prove().await?;
        let outcome = match (outcome, self.undone_by.take()) {
            (RunOutcome::Completed | RunOutcome::Failed(_), Some(why)) => RunOutcome::Stopped(why),
            (outcome, _) => outcome,
        };
        Ok((outcome, answers))
    }

    /// Records that no attack runs.
    fn refused(&mut self, why: String) -> Result<RunOutcome, RunError> {
        for attack in 0..self.plan.attacks.len() {
            let outcome = Outcome::NotRun(format!("refused: {why}"));
            self.recorder.write(Event::AttackEnded { attack, outcome, verdict: None })?;
        }
        Ok(RunOutcome::Refused(why))
    }

    /// Runs all attacks, one after another; those that do not get their turn are `not run`.
    async fn attacks(&mut self) -> Result<RunOutcome, RunError> {
        let plan = Arc::clone(&self.plan);
        let mut ended: Option<RunOutcome> = None;
        for (index, attack) in plan.attacks.iter().enumerate() {
            if let Some(outcome) = &ended {
                let why = format!("the run had ended: {}", outcome.reason());
                self.recorder.write(Event::AttackEnded {
                    attack: index,
                    outcome: Outcome::NotRun(why),
                    verdict: None,
                })?;
                continue;
            }
            if let Err(stop) = self.attack(index, attack).await? {
                self.heal(&stop.reason()).await?;
                ended = Some(stop.outcome());
            }
        }
        Ok(ended.unwrap_or(RunOutcome::Completed))
    }

    /// Processes input until `done` returns true or the time is over.
    ///
    /// # Errors
    /// Outer: the log failed. Inner: the run must stop.
    async fn pump(
        &mut self,
        until_us: i64,
        done: impl Fn(&Self) -> bool,
    ) -> Result<Result<bool, Stop>, RunError> {
        loop {
            if let Some(stop) = &self.stop {
                return Ok(Err(stop.clone()));
            }
            if let Some(finished) = self.step(until_us, &done).await? {
                return Ok(Ok(finished));
            }
        }
    }

    /// Like `pump`, but goes on although the run must stop, because nothing may interrupt healing.
    async fn pump_anyway(&mut self, until_us: i64, done: impl Fn(&Self) -> bool) -> Result<bool, RunError> {
        loop {
            if let Some(finished) = self.step(until_us, &done).await? {
                return Ok(finished);
            }
        }
    }

    async fn step(&mut self, until_us: i64, done: &impl Fn(&Self) -> bool) -> Result<Option<bool>, RunError> {
        const BEAT: Duration = Duration::from_millis(100);
        if done(self) {
            return Ok(Some(true));
        }
        let left = until_us - self.clock.now_us();
        if left <= 0 {
            return Ok(Some(false));
        }
        let wait = Duration::from_micros(u64::try_from(left).unwrap_or(0)).min(BEAT);
        let input = tokio::time::timeout(wait, self.inbox.recv()).await;
        if let Ok(Some(input)) = input {
            self.take(input)?;
            // Processes all pending input before anything is decided on it.
            while let Ok(input) = self.inbox.try_recv() {
                self.take(input)?;
            }
        }
        self.look()?;
        Ok(None)
    }

    /// Periodic checks: guards, the time limit, the screen.
    fn look(&mut self) -> Result<(), RunError> {
        let now = self.clock.now_us();
        if self.stop.is_none() {
            if let Some(tripped) = self.guard.look(now) {
                self.recorder
                    .write(Event::GuardTripped { why: tripped.why.clone(), blind: tripped.blind })?;
                self.stop = Some(Stop::Guard(tripped.why));
            } else if let Some(limit) = self.plan.ci.as_ref().and_then(|ci| ci.time_limit)
                && now > i64::try_from(limit.as_micros()).unwrap_or(i64::MAX)
            {
                self.stop = Some(Stop::Failed(format!("the time limit of {limit} is over")));
            }
        }
        self.recorder.show(now, &self.guard);
        Ok(())
    }

    /// Whether every injection of the attack has ended.
    fn settled(&self, attack: usize) -> bool {
        self.tracked
            .values()
            .filter(|one| one.attack == attack)
            .all(|one| !one.state.is_open() || one.state == State::Stuck)
    }
}
