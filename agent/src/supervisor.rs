//! The supervisor: sole owner of live injections and of their claims. Never decides what the host's policy allows.
//!
//! Each injection has its own thread, and only this thread changes the injection's state: it waits for the start, makes the effect,
//! checks it, renews the kernel's own switch, and undoes the effect. Other threads only note a wish for the injection and wake its thread.
//! So an undo never meets an effect that is half made, and no start waits for another.

mod arm;
mod control;
mod core;
mod distrust;
mod event_stream;
mod finish;
mod injection_thread;
mod lease;
mod past;
mod permit;
mod prepare;
mod recover;
mod snapshots;
mod state;
mod status_files;
mod step;
mod stray;
mod tidy;

use std::{
    sync::{Arc, Condvar, Mutex, atomic::AtomicU64},
    time::Duration,
};

use firedrill_wire::journal::{HealReason, State, What};

pub use self::{
    core::Guard,
    recover::{Healing, Recovered, heal, recover},
};

use self::{
    core::Core,
    state::{Entry, SupervisorState},
};
use crate::{
    audit::{Audit, last_copied_seq},
    config::{Config, Live},
    control::Control as _,
    host::Host,
    identity::Identity,
    injection::CalledOff,
    logs::Logs,
    metrics::Metrics,
    mutex::lock,
    wiring::{Prober, Wiring},
};

/// The supervisor. Clones share one state.
#[derive(Clone)]
pub struct Supervisor(Arc<Core>);

impl Supervisor {
    /// Starts with the result of [`recover`], which has undone everything that was open.
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
        warnings.extend(swept.sentences());
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
            logs: Logs::default(),
            warnings,
            about_file: Mutex::new(None),
            stray: Mutex::new(stray::Bucket::full(wiring.time.awake_us())),
            stirred_boot_us: AtomicU64::new(wiring.time.boot_us()),
            resting: tokio::sync::Notify::new(),
            lost: replayed.damage,
            published,
        };
        let new = Self(Arc::new(core));
        // An injection that could not be undone gets a thread that can try again, like any live injection.
        for stuck in healed.into_iter().filter(|healed| healed.state == State::Stuck) {
            let (sleeper, waker) = wiring.time.sleeper()?;
            let (id, story) = (stuck.intent.id().clone(), new.0.story_of_stuck(&stuck.intent, &stuck.detail));
            let mut entry = Entry::new(stuck.intent, 0, waker, new.0.host.kept.of::<CalledOff>());
            (entry.state, entry.journaled) = (State::Stuck, true);
            (entry.trouble, entry.story) = (stuck.detail, story);
            lock(&new.0.state).live.insert(id.clone(), entry);
            injection_thread::spawn(Arc::clone(&new.0), id, sleeper)?.go();
        }
        new.0.write_status_files();
        Ok(new)
    }

    /// Copies events to the audit until the agent ends, beginning with those that the previous agent did not copy.
    pub async fn record_events(self) {
        let newest = *self.0.published.borrow();
        let after = last_copied_seq(&self.0.config.paths.state);
        // A new journal counts from 1 again.
        let after = if after > newest { 0 } else { after };
        self.0.audit.clone().follow(self.events(after)).await;
    }

    /// Undoes everything, and refuses everything from now on. Returns at once; see [`Supervisor::is_settled`].
    pub fn stop(&self, reason: &HealReason) {
        let now = self.0.now();
        let mut state = lock(&self.0.state);
        state.closing = true;
        for entry in state.live.values_mut() {
            entry.want(reason, now);
        }
        self.0.tell_guard(&state);
    }

    /// Whether no injection is open any more, except injections that are stuck.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        lock(&self.0.state).live.values().all(Entry::is_settled)
    }

    /// Writes the final state to files and journal, just before the process ends.
    pub fn leave(&self) {
        self.0.sync();
        self.0.write_status_files();
    }

    /// Whether an injection is stuck.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        lock(&self.0.state).live.values().any(|entry| entry.state == State::Stuck)
    }

    /// Takes the lock that all other work takes, and releases it. A heartbeat calls this first, so that it proves that work is possible.
    pub fn pulse(&self) {
        drop(lock(&self.0.state));
    }

    /// Returns the metrics as text.
    #[must_use]
    pub fn metrics(&self) -> String {
        let (open, stuck, oldest) = {
            let state = lock(&self.0.state);
            let now = self.0.now();
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
