//! The parts that all modules of the supervisor share: its state, the journal, the ports, and common operations
//! on them. Never decides about an injection.

use std::{
    path::Path,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use firedrill_wire::{
    InjectionId,
    api::Clock,
    journal::{AgentEvent, State, What},
};

use super::{state::SupervisorState, stray};
use crate::{
    audit::Audit,
    config::{Config, Live},
    heap,
    host::Host,
    identity::Identity,
    journal::{Journal, Pending, Record, Tombstone},
    logs::Logs,
    metrics::Metrics,
    mutex::lock,
    wiring::{Prober, Wiring},
};

/// The guardian, as the supervisor knows it: it takes over when this process misses a deadline.
pub trait Guard: Send + Sync {
    /// Sets the number of open injections and the earliest deadline, in microseconds of CLOCK_BOOTTIME.
    fn set(&self, open: u32, deadline_boot_us: Option<u64>);
}

/// The state that all clones of a supervisor and all its threads share.
pub(super) struct Core {
    pub(super) host: Arc<Host>,
    pub(super) wiring: Wiring,
    pub(super) config: Arc<Config>,
    /// The configuration's file as it is now; its policy applies.
    pub(super) live: Live,
    pub(super) here: Identity,
    pub(super) journal: Mutex<Journal>,
    /// Never held during a call that may block.
    pub(super) state: Mutex<SupervisorState>,
    /// Signals that an injection was closed, got stuck, or was removed.
    pub(super) settled: Condvar,
    /// Locked while the status files are written, so that the newest contents are written last.
    pub(super) files: Mutex<()>,
    pub(super) guard: Arc<dyn Guard>,
    pub(super) metrics: Metrics,
    pub(super) audit: Audit,
    pub(super) prober: Arc<dyn Prober>,
    pub(super) logs: Logs,
    /// The problems that were found at the start, for people.
    pub(super) warnings: Vec<String>,
    /// The damage to the journal's file while this agent used it, for people; `None` if there was none.
    pub(super) about_file: Mutex<Option<String>>,
    /// Limits the tombstones of unknown runs in the journal.
    pub(super) stray: Mutex<stray::Bucket>,
    /// Time of the last call that takes memory (CLOCK_BOOTTIME, microseconds); 0 once that memory was given back.
    pub(super) stirred_boot_us: AtomicU64,
    /// Notified when that memory is given back.
    pub(super) resting: tokio::sync::Notify,
    /// The damage that the journal had when this agent started, one sentence each.
    pub(super) lost: Vec<String>,
    /// The number of the newest event that is safe on disk.
    pub(super) published: tokio::sync::watch::Receiver<u64>,
}

impl Core {
    /// Returns the present moment (CLOCK_BOOTTIME, microseconds).
    pub(super) fn now(&self) -> u64 {
        self.wiring.time.boot_us()
    }

    /// Returns the time by the wall clock, in microseconds since 1970 UTC.
    pub(super) fn wall_us(&self) -> u64 {
        self.wiring.time.wall_us()
    }

    /// Returns the present time by both clocks.
    pub(super) fn clock(&self) -> Clock {
        Clock { boot_us: self.now(), boot_id: self.here.boot_id.clone(), wall_us: self.wall_us() }
    }

    /// Returns the path of the file that has the policy.
    pub(super) fn policy_file(&self) -> &Path {
        &self.config.file
    }

    /// Journals an event; the disk may lag behind until [`Core::sync`].
    pub(super) fn event(&self, what: What) -> AgentEvent {
        lock(&self.journal).event(what)
    }

    /// Syncs and publishes what was journaled. Other threads can journal meanwhile. Returns whether the disk has it.
    pub(super) fn sync(&self) -> bool {
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
    pub(super) fn record_tombstones(&self, known: Vec<Tombstone>, stray: Vec<Tombstone>) {
        let known = known.into_iter().map(|stone| Record::Tombstone { stone, stray: false });
        let stray = stray.into_iter().map(|stone| Record::Tombstone { stone, stray: true });
        let mut journal = lock(&self.journal);
        for record in known.chain(stray) {
            if let Err(error) = journal.record(record) {
                tracing::error!("{}; the tombstone is in memory only", error.chain());
            }
        }
    }

    /// Returns unused memory to the system if nothing is open. Notes the time, so that it is done again later.
    pub(super) fn rest(&self) {
        self.stirred_boot_us.store(self.now(), Relaxed);
        if !lock(&self.state).has_open() {
            heap::trim();
        }
    }

    /// Tells the guard how many injections are open, and the earliest deadline.
    pub(super) fn tell_guard(&self, state: &SupervisorState) {
        let open =
            state.live.values().filter(|entry| entry.state.is_open() && entry.state != State::Stuck).count();
        self.guard.set(u32::try_from(open).unwrap_or(u32::MAX), state.deadline());
    }

    /// Returns a warning while the journal cannot be written; `None` if it can, or if it is in use at the moment.
    pub(super) fn about_journal(&self) -> Option<String> {
        let journal = self.journal.try_lock().ok()?;
        journal.is_behind().then(|| {
            format!(
                "{} cannot be written; what it should say waits in memory and is lost if the agent ends, a halt too: make \
                 room on that disk",
                journal.path().display()
            )
        })
    }

    /// Waits until these injections are closed or stuck.
    pub(super) fn wait_settled(&self, ids: &[InjectionId]) {
        let mut state = lock(&self.state);
        while ids.iter().any(|id| state.live.get(id).is_some_and(|entry| !entry.is_settled())) {
            state = self.settled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
