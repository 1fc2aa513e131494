//! The worker: watches the guardian, and puts everything back when nobody watches over it, or when it is to stop.

use std::time::Duration;

use super::{Limits, StopFor};
use crate::guardian::watch::{Now, Pulse};

/// The state of the guardian, as far as the worker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guardian) enum Guarded {
    Yes,
    /// It is silent, and the helper does not act.
    Silent,
    Gone,
}

/// The reason for which the worker puts everything back and exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guardian) enum Why {
    /// It was told to.
    Told,
    /// Nobody watches over it.
    Unguarded(Guarded),
}

impl Why {
    /// Whether a worker that leaves continues the guardian, since that may have been stopped after it gave the order.
    /// Otherwise the worker kills it, so that it can neither wake up and act nor keep the next agent from starting: it is
    /// silent, or its helper is dead, so that nobody would continue it if it were stopped from now on. A guardian is kept
    /// if something is stuck, because it tries that once more.
    pub(in crate::guardian) fn keeps_guardian(self, stop: Option<StopFor>, is_stuck: bool) -> bool {
        self == Self::Told && (is_stuck || stop != Some(StopFor::HelperDied))
    }
}

/// One check.
#[derive(Clone, Copy, Debug)]
pub(in crate::guardian) struct Saw {
    pub(in crate::guardian) now: Now,
    /// The wait before this check.
    pub(in crate::guardian) interval: Duration,
    pub(in crate::guardian) guardian_ended: bool,
    pub(in crate::guardian) guardian_beats: u64,
    /// The interval between the guardian's heartbeats.
    pub(in crate::guardian) guardian_interval: Duration,
    /// It serves, so everything that an earlier agent left has been put back.
    pub(in crate::guardian) serves: bool,
    /// Nothing is in force any more, and nothing can be put in force.
    pub(in crate::guardian) settled: bool,
    /// Somebody stops the agent by a signal.
    pub(in crate::guardian) signalled: bool,
    /// The guardian's order to stop.
    pub(in crate::guardian) stop: Option<StopFor>,
}

/// The steps after a check, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guardian) struct Todo {
    pub(in crate::guardian) guarded: Guarded,
    /// Continue the helper, which then takes over.
    pub(in crate::guardian) resume_helper: bool,
    /// Begin to put everything back.
    pub(in crate::guardian) begin: Option<Why>,
    /// Everything is put back: leave, and do to the guardian what [`Why::keeps_guardian`] says.
    pub(in crate::guardian) leave: Option<Why>,
}

/// The worker's memory of earlier checks.
#[derive(Debug)]
pub(in crate::guardian) struct Worker {
    guardian: Pulse,
    stopping: Option<Why>,
    stale_after: Duration,
}

impl Worker {
    pub(in crate::guardian) const fn new(now: Now, limits: Limits) -> Self {
        Self {
            guardian: Pulse::new(now, limits.stale_after),
            stopping: None,
            stale_after: limits.stale_after,
        }
    }

    pub(in crate::guardian) const fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// Whether only its bell may wake it: an order that was handled already, or a dead guardian, would wake it at once, again
    /// and again.
    pub(in crate::guardian) fn hears_bell_only(&self, guarded: Guarded) -> bool {
        self.is_stopping() || guarded == Guarded::Gone
    }

    /// Returns the time until the next check.
    pub(in crate::guardian) fn interval(&self, guarded: Guarded, open: u32) -> Duration {
        if self.hears_bell_only(guarded) {
            return Duration::from_millis(5);
        }
        if open != 0 {
            (self.stale_after / 8).min(Duration::from_millis(100))
        } else {
            (self.stale_after / 3).min(Duration::from_millis(700))
        }
    }

    pub(in crate::guardian) fn check(&mut self, saw: &Saw) -> Todo {
        let silence = self.guardian.silence(saw.now, saw.guardian_beats, saw.interval, saw.guardian_interval);
        let (guarded, resume_helper) = match silence {
            _ if saw.guardian_ended => (Guarded::Gone, true),
            0 => (Guarded::Yes, false),
            1 => (Guarded::Yes, true),
            _ => (Guarded::Silent, false),
        };
        let mut todo = Todo { guarded, resume_helper, begin: None, leave: None };
        // While the worker still undoes what an earlier agent left, that continues; then this is checked.
        if self.stopping.is_none() && saw.serves {
            todo.begin = if guarded != Guarded::Yes {
                Some(Why::Unguarded(guarded))
            } else if saw.signalled || saw.stop.is_some() {
                Some(Why::Told)
            } else {
                None
            };
            self.stopping = todo.begin;
        }
        if saw.serves && saw.settled {
            todo.leave = self.stopping;
        }
        todo
    }
}
