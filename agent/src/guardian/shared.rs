//! The data that guardian, worker and helper share: configuration, ports, the page and the lock; and the exit codes of all three.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use firedrill_wire::journal::HealReason;

use super::{
    decide::{self, Limits},
    lock::Lock,
    page::Page,
    watch::Now,
};
use crate::{
    config::Config,
    supervisor::{Healing, heal},
    time::Time,
    wiring::Wiring,
};

/// The exit code after a worker or a helper had died and everything was put back: the service manager restarts us.
pub const EXIT_WORKER_DIED: u8 = 1;
/// The exit code when something could not be put back.
pub const EXIT_STUCK: u8 = 6;
/// The exit code when all that is known was put back, and records of what was in force are damaged or lost.
pub const EXIT_LOST: u8 = 7;

/// The exit code when the agent could not begin to serve.
pub(super) const EXIT_CANNOT: u8 = 2;

/// The resources that the three processes share.
pub(super) struct Shared {
    pub(super) config: Arc<Config>,
    pub(super) wiring: Wiring,
    pub(super) page: &'static Page,
    pub(super) guardian: rustix::process::Pid,
    /// Held while any of the three lives: a restarted agent waits for a helper that is still undoing.
    pub(super) lock: Lock,
}

impl Shared {
    pub(super) fn time(&self) -> &'static dyn Time {
        self.wiring.time
    }

    /// Returns the time of a check.
    pub(super) fn now(&self) -> Now {
        Now::of(self.wiring.time)
    }

    /// Returns the interval between checks of guardian and helper.
    pub(super) fn interval(&self) -> Duration {
        decide::interval(self.page.open.load(SeqCst))
    }

    pub(super) fn limits(&self) -> Limits {
        let timings = &self.config.timings;
        Limits {
            stale_after: timings.stale_after.into(),
            grace: timings.grace.into(),
            undo_budget: timings.undo_budget.into(),
        }
    }

    /// Takes the lock again if its file is gone. Logs each problem once.
    pub(super) fn keep_lock(&self, holders: &[i32], said: &mut bool) {
        match self.lock.keep() {
            Ok(false) => *said = false,
            Ok(true) => {
                self.lock.name_holders(holders);
                tracing::error!("the agent's lock was deleted or replaced while it ran; it is held anew");
            }
            Err(error) => {
                if !std::mem::replace(said, true) {
                    tracing::error!("the agent's lock was deleted or replaced while it ran: {error}");
                }
            }
        }
    }

    /// Undoes all that is open, in this process. Returns the exit code for the result.
    pub(super) fn heal(&self, reason: &HealReason, tick: impl FnMut()) -> u8 {
        let host = self.config.host();
        let healing = heal(&self.config, &host, &self.wiring, None, tick);
        let code = exit_code(&healing);
        if let Err(error) = healing.journal(&self.config, reason, self.wiring.time) {
            tracing::error!("{}; what could be read was put back", error.chain());
        }
        code
    }
}

/// Returns the exit code for a result.
pub(super) fn exit_code(healing: &Healing) -> u8 {
    if healing.is_stuck() {
        EXIT_STUCK
    } else if healing.replayed.damage.is_empty() {
        0
    } else {
        EXIT_LOST
    }
}
