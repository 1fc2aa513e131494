//! The helper's decisions: it waits for an order, and takes over from a guardian that is gone or silent.

use std::time::Duration;

use super::{Limits, Order};
use crate::guardian::watch::{Now, Overdue, Pulse};

/// The result of one check by the helper.
#[derive(Clone, Copy, Debug)]
pub(in crate::guardian) struct Saw {
    pub(in crate::guardian) now: Now,
    /// The intended wait before this check.
    pub(in crate::guardian) interval: Duration,
    pub(in crate::guardian) order: Order,
    pub(in crate::guardian) guardian_ended: bool,
    pub(in crate::guardian) guardian_beats: u64,
    /// The worker's earliest deadline, in microseconds of CLOCK_BOOTTIME; 0 if there is none.
    pub(in crate::guardian) deadline: u64,
}

/// The reason for which the helper puts everything back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guardian) enum Found {
    /// The guardian has ordered it, because the worker is dead.
    WorkerDead,
    /// The guardian has ended. The worker first gets the time to put everything back and leave by itself.
    GuardianDead,
    /// The guardian is silent, or has let a deadline pass. The helper kills the worker, and then the guardian.
    GuardianSilent,
}

/// The next step after a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guardian) enum Next {
    /// The helper goes on waiting.
    Wait,
    /// The agent stops as planned, and everything has been put back: the helper only exits.
    Leave,
    /// The helper puts everything back.
    Heal(Found),
}

/// The helper's memory of earlier checks.
#[derive(Debug)]
pub(in crate::guardian) struct Helper {
    guardian: Pulse,
    overdue: Overdue,
}

impl Helper {
    /// Begins the watch.
    pub(in crate::guardian) const fn new(now: Now, limits: Limits) -> Self {
        Self {
            guardian: Pulse::new(now, limits.stale_after),
            // The guardian acts first; the helper acts only if the guardian does not.
            overdue: Overdue::new(now, limits.grace.saturating_mul(2)),
        }
    }

    /// Decides the next step after a check.
    pub(in crate::guardian) fn check(&mut self, saw: &Saw) -> Next {
        match saw.order {
            Order::Heal => return Next::Heal(Found::WorkerDead),
            Order::Leave => return Next::Leave,
            Order::Wait => {}
        }
        if saw.guardian_ended {
            return Next::Heal(Found::GuardianDead);
        }
        let over = self.overdue.is_over(saw.now, saw.deadline, saw.interval);
        let stale = self.guardian.is_stale(saw.now, saw.guardian_beats, saw.interval);
        if over || stale { Next::Heal(Found::GuardianSilent) } else { Next::Wait }
    }
}

/// The helper's wait for a worker whose guardian died: that worker puts everything back by itself and exits.
#[derive(Debug)]
pub(in crate::guardian) struct Leaving {
    worker: Pulse,
    overdue: Overdue,
    /// End of the wait, by the clock that stands still during suspend (`Now::awake_us`).
    until: u64,
}

impl Leaving {
    /// Begins the wait, which takes at most the time of an undo.
    pub(in crate::guardian) fn new(now: Now, limits: Limits) -> Self {
        Self {
            worker: Pulse::new(now, limits.stale_after),
            overdue: Overdue::new(now, limits.grace),
            until: now.awake_after(limits.undo_budget),
        }
    }

    /// Returns whether the worker hangs and has to be killed.
    pub(in crate::guardian) fn hangs(
        &mut self,
        now: Now,
        beats: u64,
        deadline: u64,
        interval: Duration,
    ) -> bool {
        let over = self.overdue.is_over(now, deadline, interval);
        let stale = self.worker.is_stale(now, beats, interval);
        over || stale || now.awake_us > self.until
    }
}
