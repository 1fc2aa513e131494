//! The worker's decisions: it watches the guardian. It puts everything back and leaves when no process watches it any more, or
//! when it has to stop.

use std::time::Duration;

use super::{Limits, StopFor};
use crate::guardian::watch::{Now, Pulse};

/// The state of the guardian, as far as the worker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guardian) enum Guarded {
    /// It gives heartbeats, or has been silent only for a time in which the helper still may act.
    Yes,
    /// It is silent, and the helper has not acted either.
    Silent,
    /// It has ended.
    Gone,
}

/// The reason for which the worker puts everything back and exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guardian) enum Why {
    /// A signal or the guardian has told it to.
    Told,
    /// The guardian does not watch it any more.
    Unguarded(Guarded),
}

impl Why {
    /// Whether a worker that leaves continues the guardian instead of killing it.
    ///
    /// A worker that was told to leave continues the guardian, because that may have been stopped since it gave the order.
    /// But a worker kills a guardian that is silent, or whose helper is dead: no process would continue it if it is stopped,
    /// and then it would keep the next agent from starting, or would act much later. If something is stuck, the guardian is
    /// kept even without a helper, because it tries the undo once more.
    pub(in crate::guardian) fn keeps_guardian(self, stop: Option<StopFor>, is_stuck: bool) -> bool {
        self == Self::Told && (is_stuck || stop != Some(StopFor::HelperDied))
    }
}

/// The result of one check by the worker.
#[derive(Clone, Copy, Debug)]
pub(in crate::guardian) struct Saw {
    pub(in crate::guardian) now: Now,
    /// The intended wait before this check.
    pub(in crate::guardian) interval: Duration,
    pub(in crate::guardian) guardian_ended: bool,
    pub(in crate::guardian) guardian_beats: u64,
    /// The interval between the guardian's heartbeats.
    pub(in crate::guardian) guardian_interval: Duration,
    /// Whether the worker serves. Then everything that an earlier agent left has been put back.
    pub(in crate::guardian) serves: bool,
    /// Whether nothing is in force any more, and nothing can be injected any more.
    pub(in crate::guardian) settled: bool,
    /// Whether somebody stops the agent by a signal.
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
    /// Begin to put everything back, for this reason.
    pub(in crate::guardian) begin: Option<Why>,
    /// Everything is put back: leave, and continue or kill the guardian by [`Why::keeps_guardian`].
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
    /// Begins the watch.
    pub(in crate::guardian) const fn new(now: Now, limits: Limits) -> Self {
        Self {
            guardian: Pulse::new(now, limits.stale_after),
            stopping: None,
            stale_after: limits.stale_after,
        }
    }

    /// Whether the worker has begun to put everything back.
    pub(in crate::guardian) const fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// Whether only its bell may wake the worker. A signal that it does not read any more, or a dead guardian, would wake it
    /// at once, again and again.
    pub(in crate::guardian) fn hears_bell_only(&self, guarded: Guarded) -> bool {
        self.is_stopping() || guarded == Guarded::Gone
    }

    /// Returns the time until the next check, which gives a heartbeat, too. Several heartbeats come within `stale_after`.
    /// `open` is the number of open injections.
    pub(in crate::guardian) fn interval(&self, guarded: Guarded, open: u32) -> Duration {
        if self.hears_bell_only(guarded) {
            // Short, because the worker is to leave as soon as everything is put back.
            return Duration::from_millis(5);
        }
        if open != 0 {
            (self.stale_after / 8).min(Duration::from_millis(100))
        } else {
            (self.stale_after / 3).min(Duration::from_millis(700))
        }
    }

    /// Decides the next steps after a check.
    pub(in crate::guardian) fn check(&mut self, saw: &Saw) -> Todo {
        let silence = self.guardian.silence(saw.now, saw.guardian_beats, saw.interval, saw.guardian_interval);
        let (guarded, resume_helper) = match silence {
            _ if saw.guardian_ended => (Guarded::Gone, true),
            0 => (Guarded::Yes, false),
            1 => (Guarded::Yes, true),
            _ => (Guarded::Silent, false),
        };
        let mut todo = Todo { guarded, resume_helper, begin: None, leave: None };
        // Before the worker serves, it undoes what an earlier agent left. It goes on with that, and then checks this.
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
