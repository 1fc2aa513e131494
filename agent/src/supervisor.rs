//! The supervisor: sole owner of live injections and of their claims.
//!
//! Each injection has a thread of its own, which alone changes its state: it waits for the start, makes the effect,
//! checks it, renews the kernel's own switch, and undoes the effect. Other threads only set what they want and wake it.
//! So an undo never meets an effect that is half made, and no start waits for another.

mod arm;
mod control;
mod distrust;
mod event_stream;
mod finish;
mod injection_thread;
mod past;
mod permit;
mod prepare;
mod recover;
mod snapshots;
mod state;
mod stray;
mod tidy;

use std::{
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use firedrill_probe::clock;
use firedrill_wire::{
    InjectionId, RunId,
    api::{Clock, OpenOne},
    journal::{AgentEvent, HealReason, State, What},
};

pub use self::recover::{Healing, Recovered, heal, recover};

use self::state::{Entry, SupervisorState};
use crate::{
    active,
    audit::{Audit, since_last_event},
    bell::Alarm,
    config::{Config, Live},
    control::Control as _,
    heap,
    host::Host,
    identity::Identity,
    journal::{Closed, Journal, Pending, Record, Tombstone, forget_closed, keep_closed, write_copy},
    metrics::Metrics,
    transition::{Step, next},
    wiring::{Prober, Wiring},
};

/// Takes over when this process misses a deadline.
pub trait Guard: Send + Sync {
    /// Sets the number of open injections and the earliest deadline, in microseconds of CLOCK_BOOTTIME.
    fn set(&self, open: u32, deadline_boot_us: Option<u64>);
}

/// The supervisor. Clones share one state.
#[derive(Clone)]
pub struct Supervisor(Arc<Core>);

struct Core {
    host: Arc<Host>,
    wiring: Wiring,
    config: Arc<Config>,
    /// The configuration's file as it is now; its policy applies.
    live: Live,
    here: Identity,
    journal: Mutex<Journal>,
    /// Never held during a call that may block.
    state: Mutex<SupervisorState>,
    settled: Condvar,
    /// Held while the status files are written, so that the newest contents are written last.
    files: Mutex<()>,
    guard: Arc<dyn Guard>,
    metrics: Metrics,
    audit: Audit,
    prober: Arc<dyn Prober>,
    warnings: Vec<String>,
    /// The damage to the journal's file while this agent used it, for people.
    about_file: Mutex<Option<String>>,
    /// Limits the tombstones of unknown runs in the journal.
    stray: Mutex<stray::Bucket>,
    /// Time of the last call that takes memory (CLOCK_BOOTTIME, microseconds); 0 once that memory was given back.
    stirred_boot_us: AtomicU64,
    /// The damage that the journal had when this agent started, one sentence each.
    lost: Vec<String>,
    published: tokio::sync::watch::Receiver<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic that matters ends the whole process, so the data behind a poisoned lock are never half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Supervisor {
    /// Takes over from [`recover`], which has put back what was open.
    ///
    /// # Errors
    /// No thread or file descriptor is left to watch what is stuck.
    pub fn start(
        config: Arc<Config>,
        host: Arc<Host>,
        wiring: Wiring,
        guard: Arc<dyn Guard>,
        prober: Arc<dyn Prober>,
        recovered: Recovered,
    ) -> std::io::Result<Self> {
        let Recovered { mut journal, healed, replayed, swept } = recovered;
        journal.event(What::AgentStarted {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            healed: u32::try_from(healed.len()).unwrap_or(u32::MAX),
            damage: replayed.damage.clone(),
        });
        journal.sync();
        let mut warnings = replayed.damage.clone();
        warnings.extend(swept.told());
        let here = Identity::here();
        let state = SupervisorState::after(&replayed);
        let published = journal.published();
        let audit = Audit::start(&config.paths.state);
        let core = Core {
            host,
            wiring,
            live: Live::new(&config),
            config,
            here,
            journal: Mutex::new(journal),
            state: Mutex::new(state),
            settled: Condvar::new(),
            files: Mutex::new(()),
            guard,
            metrics: Metrics::default(),
            audit,
            prober,
            warnings,
            about_file: Mutex::new(None),
            stray: Mutex::new(stray::Bucket::full()),
            stirred_boot_us: AtomicU64::new(clock::boot_us()),
            lost: replayed.damage,
            published,
        };
        let new = Self(Arc::new(core));
        for one in healed.into_iter().filter(|one| one.state == State::Stuck) {
            let alarm = Arc::new(Alarm::new()?);
            let id = one.intent.id().clone();
            let mut entry = Entry::new(one.intent, 0, Arc::clone(&alarm));
            (entry.state, entry.journaled) = (State::Stuck, true);
            entry.trouble = one.detail;
            lock(&new.0.state).live.insert(id.clone(), entry);
            injection_thread::spawn(Arc::clone(&new.0), id, alarm)?.go();
        }
        new.0.write_status_files();
        Ok(new)
    }

    /// Copies events to the audit until the agent ends, beginning with those that the previous agent did not copy.
    pub async fn record_events(self) {
        let newest = *self.0.published.borrow();
        let after = since_last_event(&self.0.config.paths.state);
        // A new journal counts from 1 again.
        let after = if after > newest { 0 } else { after };
        self.0.audit.clone().follow(self.events(after)).await;
    }

    /// Undoes everything, and refuses everything from now on. Returns at once; see [`Supervisor::is_settled`].
    pub fn stop(&self, reason: &HealReason) {
        let mut state = lock(&self.0.state);
        state.closing = true;
        for entry in state.live.values_mut() {
            entry.want(reason);
        }
        self.0.watch(&state);
    }

    /// Whether nothing is open any more, except injections that are stuck.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        lock(&self.0.state).live.values().all(Entry::is_settled)
    }

    /// Writes the final state to files and journal, just before the process ends.
    pub fn leave(&self) {
        self.0.sync();
        self.0.write_status_files();
    }

    /// Whether something is stuck.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        lock(&self.0.state).live.values().any(|entry| entry.state == State::Stuck)
    }

    /// Takes the same locks as all other work, so that a heartbeat proves that work is possible.
    pub fn pulse(&self) {
        drop(lock(&self.0.state));
    }

    /// Returns the metrics as text.
    #[must_use]
    pub fn metrics(&self) -> String {
        let (open, stuck, oldest) = {
            let state = lock(&self.0.state);
            let now = clock::boot_us();
            let count =
                |which: fn(State) -> bool| state.live.values().filter(|entry| which(entry.state)).count();
            let oldest = state
                .live
                .values()
                .filter(|entry| matches!(entry.state, State::Armed | State::Injecting | State::InForce))
                .filter_map(|entry| state.runs.get(&entry.intent.run))
                .map(|run| now.saturating_sub(run.heard_boot_us))
                .max();
            (
                count(|state| state.is_open() && state != State::Stuck),
                count(|state| state == State::Stuck),
                oldest.unwrap_or(0),
            )
        };
        self.0.metrics.text(open, stuck, Duration::from_micros(oldest))
    }
}

impl Core {
    fn clock(&self) -> Clock {
        Clock { boot_us: clock::boot_us(), boot_id: self.here.boot_id.clone(), wall_us: clock::wall_us() }
    }

    fn policy_file(&self) -> &Path {
        &self.config.file
    }

    /// Journals an event; the disk may lag behind until [`Core::sync`].
    fn event(&self, what: What) -> AgentEvent {
        lock(&self.journal).event(what)
    }

    /// Syncs and publishes what was journaled. Other threads can journal meanwhile.
    fn sync(&self) -> bool {
        let pending = lock(&self.journal).begin_sync();
        match pending.and_then(Pending::finish) {
            Ok(seq) => lock(&self.journal).publish(seq),
            Err(error) => {
                tracing::error!("{}; events wait in memory", error.chain());
                return false;
            }
        }
        true
    }

    /// Journals tombstones; `stray` are those of unknown runs and injections.
    fn record_tombstones(&self, known: Vec<Tombstone>, stray: Vec<Tombstone>) {
        let known = known.into_iter().map(|stone| Record::Tombstone { stone, stray: false });
        let stray = stray.into_iter().map(|stone| Record::Tombstone { stone, stray: true });
        let mut journal = lock(&self.journal);
        for record in known.chain(stray) {
            if let Err(error) = journal.record(record) {
                tracing::error!("{}; the tombstone stands in memory only", error.chain());
            }
        }
    }

    /// Journals a legal step, then shows it to others. Only the injection's own thread calls this.
    fn step(
        &self,
        id: &InjectionId,
        step: Step,
        reason: Option<HealReason>,
        detail: String,
        foreign: Vec<String>,
        safe: bool,
    ) {
        let Some((run, from, kind)) = lock(&self.state)
            .live
            .get(id)
            .map(|entry| (entry.intent.run.clone(), entry.state, entry.intent.live.ask.fault.kind()))
        else {
            return;
        };
        let to = match next(from, step) {
            Ok(to) => to,
            Err(illegal) => {
                tracing::error!("{id}: {illegal}; this is a bug in the agent");
                return;
            }
        };
        if to == State::Stuck {
            tracing::error!("{id} is stuck: {detail}");
            active::syslog(&format!("{id} of run {run} could NOT be put back: {detail}"));
        }
        let trouble = if to == State::Stuck { detail.clone() } else { String::new() };
        let news = What::Changed { injection: id.clone(), run, to, reason, detail, foreign: foreign.clone() };
        let event = self.event(news);
        let (now, wall_us) = (event.boot_us, event.wall_us);
        if safe {
            self.sync();
        }
        self.metrics.ended(kind, to);
        {
            let mut state = lock(&self.state);
            if let Some(entry) = state.live.get_mut(id) {
                entry.state = to;
                if to.is_open() {
                    entry.story.push(event);
                } else {
                    entry.story = Vec::new();
                }
                entry.trouble = trouble;
                entry.foreign.extend(foreign);
                entry.ended_wall_us = (!to.is_open()).then_some(wall_us);
                if to == State::InForce {
                    entry.intent.in_force_at(now);
                }
                if matches!(to, State::Stuck) || !to.is_open() {
                    entry.wanted = None;
                    entry.act_by = None;
                }
            }
            self.watch(&state);
        }
        // Not before an undo, which must not wait for files.
        if !to.is_open() || matches!(to, State::InForce | State::Stuck) {
            self.write_status_files();
            self.settled.notify_all();
        }
    }

    /// Returns a drill's memory to the system once nothing is live.
    fn rest(&self) {
        self.stirred_boot_us.store(clock::boot_us(), Relaxed);
        if !lock(&self.state).live.values().any(|entry| entry.state.is_open()) {
            heap::trim();
        }
    }

    /// Tells the guard how many injections are open, and the earliest deadline.
    fn watch(&self, state: &SupervisorState) {
        let open =
            state.live.values().filter(|entry| entry.state.is_open() && entry.state != State::Stuck).count();
        self.guard.set(u32::try_from(open).unwrap_or(u32::MAX), state.deadline());
    }

    /// Writes the files that tell people and recovery what is open, and what has ended without being journaled.
    fn write_status_files(&self) {
        let _order = lock(&self.files);
        // Read first, so that the states are at least as new.
        let (last_seq, behind) = {
            let journal = lock(&self.journal);
            (journal.last_seq(), journal.is_behind())
        };
        let closed: Vec<Closed> = lock(&self.state)
            .live
            .values()
            .filter(|entry| behind && !entry.state.is_open())
            .map(|entry| Closed::of(&entry.intent, entry.state, String::new(), Vec::new()))
            .collect();
        let (open, intents): (Vec<OpenOne>, Vec<_>) = lock(&self.state)
            .live
            .values()
            .filter(|entry| entry.state.is_open())
            .map(|entry| (entry.show(), (entry.intent.clone(), entry.state)))
            .unzip();
        let run_dir = &self.config.paths.run;
        let kept = if behind { keep_closed(run_dir, &self.here, closed) } else { forget_closed(run_dir) };
        if let Err(error) = kept {
            tracing::warn!("cannot write what is over to {}: {error}", run_dir.display());
        }
        let intents = intents.iter().map(|(intent, state)| (intent, *state));
        let copied = write_copy(run_dir, &self.here, last_seq, intents);
        let offset = i128::from(clock::wall_us()) - i128::from(clock::boot_us());
        if let Err(error) = copied.and_then(|()| active::write(run_dir, &open, offset)) {
            tracing::warn!("cannot write what is active to {}: {error}", run_dir.display());
        }
    }

    /// Returns a warning while the journal cannot be written.
    fn about_journal(&self) -> Option<String> {
        let journal = self.journal.try_lock().ok()?;
        journal.is_behind().then(|| {
            format!(
                "{} cannot be written; what it should say waits in memory and is lost if the agent ends, a halt too: make \
                 room on that disk",
                journal.path().display()
            )
        })
    }

    /// Ends a run whose lease has expired: undoes all of it, and refuses later renewals.
    fn expire(&self, run: &RunId) {
        let news = {
            let mut state = lock(&self.state);
            let news = state.runs.get_mut(run).is_some_and(|run| !std::mem::replace(&mut run.over, true));
            for entry in state.live.values_mut().filter(|entry| entry.intent.run == *run) {
                entry.want(&HealReason::LeaseExpired);
            }
            self.watch(&state);
            news
        };
        if news {
            self.event(What::LeaseExpired { run: run.clone() });
        }
    }

    /// Waits until these injections are closed or stuck.
    fn wait_settled(&self, ids: &[InjectionId]) {
        let mut state = lock(&self.state);
        while ids.iter().any(|id| state.live.get(id).is_some_and(|entry| !entry.is_settled())) {
            state = self.settled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
