//! Runs a plan: one event loop that receives events from agents, probes and people, and goes through the attacks.
//!
//! It never judges (`score` does that, from the same log), and touches hosts only through their agents. Everything that it sees is written
//! into `events.jsonl` before anything else is done with it.
//!
//! # The parts and their state
//! One task owns the run (`parts.rs`) with all its state, and no other task can access it. The run consists of parts:
//!
//! | part | its state |
//! |---|---|
//! | `facts.rs` | constants of the run: id, plan, clock, operator, certificate |
//! | `recorder.rs` | the log and the screen |
//! | `peers.rs` | the hosts: link, lease, newest event; their clocks (`boots.rs`) |
//! | `injections.rs` | the injections that were armed, their states (`tracked.rs`), and the undos that this run asked for |
//! | `vantages.rs` | the hosts that measure |
//! | `host_logs.rs` | the hosts whose agents read logs, and bins of these that are not in the run's log yet |
//! | `guards.rs` | the latest measurements, also of sources (`sources/seen.rs`), and the conditions that stop a run without a person |
//! | `approvals.rs` | the attack that waits for people |
//! | `leaders.rs` | the answer about the leader of a moving target |
//! | `steps.rs` | the step between attacks that the run waits for, and what a person has to put back |
//! | `between.rs` | the pause, and the attack to skip, that people want before the next attack |
//! | `proofs.rs` | the hosts' final states |
//! | `ending.rs` | the reason to stop, and whether the attacks are over |
//!
//! `event_loop.rs` gives each input to the part that it is for. `phases/` has the phases of a run: functions that wait for input take
//! the whole run and call `pump`; all others take only the parts that they need.
//!
//! # Tasks and channels
//! Background tasks (`tasks.rs`) access no part. They send what they see:
//! - `watchers.rs`: the pulse that detects sleep, each host's events, lease, and bins of probes and logs (`follow.rs`);
//! - `sources.rs`: one for each metric, which asks its source; one for each source that sends by itself (`sources/listeners.rs`);
//! - `vantages.rs`: the coordinator's own bins; `socket/listen.rs`: an undo on this machine, and wishes of people (`wish.rs`);
//! - `approval_watch.rs`: the run's folder, and the terminal, by a thread, because such a read cannot be cancelled;
//! - one for each exchange of packets, each host that is asked for an undo, each host that proves its state.
//!
//! They write to the inbox (`inbox.rs`), which takes any number of `Input` and which only the event loop reads: first a person's wish to stop
//! everything, then all other inputs in order. So does the run's `Handle`, by which the caller forwards signals. In the other direction there
//! is one `watch` channel for each host, which says whether its lease is renewed, and there is cancellation: of all these tasks when the run
//! is dropped, of a phase's calls when that phase ends, of restarts of probes when vantages are to stop. Other questions to agents (connect,
//! prepare, arm, probes, other runs' faults) are awaited by the phase itself. Meanwhile inputs wait in the inbox: a signal is handled only
//! after the answers.
//!
//! # Who writes the log
//! Only the recorder, which only the task that owns the run can access: it writes first to the file, then to memory, then to the screen.
//! A background task sends its record as an input (`Input::Exchanged`). If the file fails, `salvage.rs` heals without it.
//!
//! # What ends a run
//! - No attack is left; with `--plan`, all agents have answered.
//! - It is refused before the first attack: another run or a game day (`whole.rs`) uses the same hosts or measures the same addresses
//!   (`claim.rs`), a host cannot be reached or is halted, an agent refuses, faults of other runs leave no room under a guard's limit, a
//!   vantage cannot measure, a source does not answer or its listener cannot be opened.
//! - `Ending` has a reason: a guard, the time limit, a signal, a sleep longer than the lease, something stuck, or a
//!   person's undo, halt or distrust (`by_person.rs`; `arm.rs` for a refusal that means one). The first counts. `pump`
//!   returns it once pending input is processed; `pump_anyway`, with which healing waits, does not.
//! - A phase cannot go on: a baseline or the settling does not hold, an earlier fault may still be in force, the scenario
//!   says to stop.
//!
//! # In which order
//! **Start:** log, pulse, socket, claim, connect, prepare, sources, other runs' faults, probes. Nothing is armed before
//! all of this is well. Then for each attack: its turn, approval, turn, baseline, arm, fault, recovery, verdict, settle.
//!
//! **Pause, skip:** wishes are about the first attack for which nothing was armed, and take effect in its turn (`phases/turn.rs`). A wish
//! that comes during the baseline ends the baseline, which is measured anew after the pause. A pause that nobody ends stops the run.
//!
//! **Leaders:** an attack on a moving target has alternatives, one for each possible leader. The first of them has the turn and the
//! approval. Then the leader is asked for (`phases/leader.rs`): the attack on it goes on, the others are spared, and after the baseline the
//! leader is asked for again.
//!
//! **Steps:** the steps before an attack come before its turn, when nothing is in force (`phases/step.rs`). A person answers by a wish. A
//! program (`program.rs`) runs in a separate process group under a keeper, which kills it when the run drops it or dies.
//!
//! **Ctrl-C:** the command line forwards it, `Ending` takes it, `pump` returns it to the phase, and the phase to `attack.rs`. Touched
//! hosts are asked to undo the run. The attack ends as `aborted`, or as `not run` if it had not started; the attacks that follow end as
//! `not run`. Each further signal shows what is waited for, and interrupts nothing.
//!
//! **End:** touched hosts are asked whether a person undid the run without the coordinator's knowledge, unless the run
//! itself has requested its undo. `Ending` notes that the attacks are over: from here on, an undo by a person changes only the outcome.
//! Injections that are still open are healed, people are asked to put back what they did by hand, probes stop and their last bins are read,
//! hosts prove their states, and `RunEnded` is written.

mod approval_watch;
mod approvals;
mod between;
mod blocked;
mod boots;
mod bounds;
mod by_person;
mod claim;
mod clock;
mod collect;
mod ending;
mod error;
mod event_loop;
mod facts;
mod follow;
mod guards;
mod handle;
mod host_logs;
mod inbox;
mod injections;
mod input;
mod leaders;
mod options;
mod parts;
mod peers;
mod phases;
mod probe_specs;
mod program;
mod proofs;
mod read_backs;
mod recorder;
mod salvage;
pub mod screen;
mod socket;
mod sources;
mod steps;
mod stop;
mod tasks;
mod tracked;
mod vantages;
mod waiting;
mod watchers;
mod whole;
mod wish;
mod within;

use std::{future::Future, sync::Arc};

pub(crate) use approval_watch::FILE as APPROVAL_FILE;
pub use approvals::{Approvals, Asks};
pub use clock::RunClock;
pub use collect::{collect, unproven};
pub use error::RunError;
pub use handle::Handle;
pub use options::{Finished, Options};
pub use phases::prepare::Answer;
pub(crate) use program::keep;
pub use socket::{Halted, Notified, Requested, UndoNotice, halt, notify, request};
pub(crate) use sources::firing_alerts;
pub use whole::{OfGameday, Whole};
pub use wish::{PAUSE, Reply, StepAnswer, Wants, Wish};
pub use within::Within;

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
    leader::{all_leaders, no_leader_program},
    prepare::{Refusal, barred, lacking, prepare},
    prove::{prove, stop_probes},
    step::{no_program, put_back},
};
use recorder::Recorder;

/// Begins a run: makes its folder and its log. No host is asked or touched before the returned future is polled. The future runs the plan to
/// its end, whatever the outcome, and heals everything that it touched before it returns.
///
/// # Errors
/// The log could not be created or written, now or later. Everything else is an outcome.
pub fn begin(
    plan: Plan,
    options: Options,
) -> Result<(Handle, impl Future<Output = Result<Finished, RunError>>), RunError> {
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
    let facts = Facts::new(id.clone(), Arc::new(plan), clock, options.operator, options.identity);
    let run = Run::new(facts, recorder, ApprovalDesk::new(options.approvals, folder.clone()));
    let handle = Handle::new(id, folder, run.tasks.mail());
    let (plan_only, beside_others, within) = (options.plan_only, options.beside_others, options.within);
    let mode = Mode { plan_only, beside_others, within };
    Ok((handle.clone(), to_the_end(run, handle, mode)))
}

/// The options that matter after the beginning; see [`Options`].
struct Mode {
    plan_only: bool,
    beside_others: bool,
    within: Option<Within>,
}

/// Runs the plan, and writes the end of the run. If the log fails, heals without it.
async fn to_the_end(mut run: Run, handle: Handle, mode: Mode) -> Result<Finished, RunError> {
    let ended = match whole(&mut run, mode).await {
        Ok((outcome, answers)) => {
            run.recorder.write(Event::RunEnded { outcome: outcome.clone() }).map(|()| (outcome, answers))
        }
        Err(error) => Err(error),
    };
    match ended {
        Ok((outcome, answers)) => {
            let (id, folder) = (handle.run().clone(), handle.folder().to_owned());
            let skipped = run.between.has_skipped() || run.steps.has_skipped();
            let leaders = run.leaders.take_shown();
            Ok(Finished { run: id, folder, outcome, answers, leaders, skipped })
        }
        Err(error) => Err(salvage::salvage(&mut run, error).await),
    }
}

/// Connects, prepares, measures, attacks, heals, proves. Returns the outcome, and the answers of agents to `prepare`. The error is one of the
/// log.
async fn whole(
    run: &mut Run,
    Mode { plan_only, beside_others, within }: Mode,
) -> Result<(RunOutcome, Vec<Answer>), RunError> {
    watchers::pulse(&run.tasks, run.facts.clock);
    // The socket is kept until the run is over. It is the claim: other runs see by it which hosts this run uses.
    let _socket = if plan_only {
        None
    } else {
        let beside = (beside_others, within.as_ref());
        match claim::claim((&run.facts, &run.tasks), &mut run.recorder, beside).await? {
            Ok(socket) => socket,
            Err(why) => return Ok((refused(&run.facts, &mut run.recorder, why)?, Vec::new())),
        }
    };
    if let Some(why) = no_program(&run.facts.plan).or_else(|| no_leader_program(&run.facts.plan)) {
        return Ok((refused(&run.facts, &mut run.recorder, why)?, Vec::new()));
    }
    let whom = Whom { beside_others: plan_only || beside_others, ..Whom::default() };
    if let Err(why) = connect((&run.facts, &run.tasks), &mut run.peers, &mut run.recorder, whom).await? {
        return Ok((refused(&run.facts, &mut run.recorder, why)?, Vec::new()));
    }
    if let Err(why) = run.approvals.read(&run.facts, &mut run.recorder) {
        return Ok((refused(&run.facts, &mut run.recorder, why)?, Vec::new()));
    }
    let all_attacks = 0..run.facts.plan.attacks.len();
    let approvals = &run.approvals.signed;
    let asked =
        prepare((&run.facts, &run.peers), &mut run.recorder, all_attacks, approvals, plan_only).await?;
    let answers = match asked {
        Ok(answers) => answers,
        Err(Refusal { why, answers, .. }) => {
            return Ok((refused(&run.facts, &mut run.recorder, why)?, answers));
        }
    };
    // The listeners are kept until the run is over.
    let listeners = match sources::Listeners::open(&run.facts) {
        Ok(listeners) => listeners,
        Err(why) => return Ok((refused(&run.facts, &mut run.recorder, why)?, answers)),
    };
    if let Err(why) = sources::answer(&run.facts, &listeners).await {
        return Ok((refused(&run.facts, &mut run.recorder, why)?, answers));
    }
    if plan_only {
        run.leaders.show(all_leaders(&run.facts).await);
        return Ok((RunOutcome::Completed, answers));
    }
    run.approvals.hosts_want(&answers);
    if let Some(why) = lacking(&run.facts.plan, &answers) {
        return Ok((refused(&run.facts, &mut run.recorder, why)?, answers));
    }
    if let Err(why) = room_for((&run.facts, &run.peers), &mut run.recorder, 0).await? {
        return Ok((refused(&run.facts, &mut run.recorder, why)?, answers));
    }
    if let Err(why) = run.vantages.start(&run.facts, &run.peers, &run.tasks, &run.approvals.folder).await {
        return Ok((refused(&run.facts, &mut run.recorder, why)?, answers));
    }
    if let Err(why) = run.host_logs.start(&run.facts, &run.peers, &run.tasks).await {
        return Ok((refused(&run.facts, &mut run.recorder, why)?, answers));
    }
    if let Err(why) = sources::start(&run.facts, &run.tasks, &listeners) {
        return Ok((refused(&run.facts, &mut run.recorder, why)?, answers));
    }
    let outcome = attacks(run).await?;
    let undone_by = if run.injections.run_undone() { None } else { barred(&run.facts, &run.peers).await };
    run.ending.finish(undone_by);
    // Normally nothing is in force here. Something may be if a host could not be reached.
    heal(run, "the run is over").await?;
    put_back(run).await?;
    stop_probes(run).await?;
    prove(run).await?;
    Ok((run.ending.outcome(outcome), answers))
}

/// Records that no attack runs, and returns the outcome.
fn refused(facts: &Facts, recorder: &mut Recorder, why: String) -> Result<RunOutcome, RunError> {
    for attack in 0..facts.plan.attacks.len() {
        let why = format!("refused: {why}");
        let first = facts.plan.is_first_alternative(attack);
        recorder.ended(attack, if first { Outcome::NotRun(why) } else { Outcome::Spared(why) }, None)?;
    }
    Ok(RunOutcome::Refused(why))
}
