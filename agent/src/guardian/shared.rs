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

/// The exit code after a worker or a helper has died and everything was put back. The service manager then restarts the agent.
pub const EXIT_WORKER_DIED: u8 = 1;
/// The exit code if something could not be put back.
pub const EXIT_STUCK: u8 = 6;
/// The exit code if all that is known was put back, and records of what was in force are damaged or lost.
pub const EXIT_LOST: u8 = 7;

/// The exit code if the agent could not begin to serve.
pub(super) const EXIT_CANNOT: u8 = 2;

/// The resources that the three processes share.
pub(super) struct Shared {
    pub(super) config: Arc<Config>,
    pub(super) wiring: Wiring,
    pub(super) page: &'static Page,
    /// The guardian's pid.
    pub(super) guardian: rustix::process::Pid,
    /// Held as long as one of the three lives, so that a restarted agent waits for a helper that still undoes.
    pub(super) lock: Lock,
}

impl Shared {
    /// Returns the clocks.
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

    /// Returns the time-outs by the configuration.
    pub(super) fn limits(&self) -> Limits {
        let timings = &self.config.timings;
        Limits {
            stale_after: timings.stale_after.into(),
            grace: timings.grace.into(),
            undo_budget: timings.undo_budget.into(),
        }
    }

    /// Takes the lock again if its file is gone, and writes the pids `holders` into it. Called again and again; `reported` is
    /// whether the present problem was logged already.
    pub(super) fn keep_lock(&self, holders: &[i32], reported: &mut bool) {
        match self.lock.keep() {
            Ok(false) => *reported = false,
            Ok(true) => {
                self.lock.name_holders(holders);
                tracing::error!("the agent's lock was deleted or replaced while it ran; it is held again");
            }
            Err(error) => {
                if !std::mem::replace(reported, true) {
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

/// Returns the exit code for the result of putting everything back.
pub(super) fn exit_code(healing: &Healing) -> u8 {
    if healing.is_stuck() {
        EXIT_STUCK
    } else if healing.replayed.damage.is_empty() {
        0
    } else {
        EXIT_LOST
    }
}
