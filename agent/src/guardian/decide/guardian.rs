//! The guardian: watches worker and helper, and decides when the worker is over.

use std::time::Duration;

use super::Limits;
use crate::guardian::watch::{Now, Overdue, Pulse};

/// An order to the helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guardian) enum Order {
    /// Nothing yet.
    Wait,
    /// The worker is dead: undo everything, then exit.
    Heal,
    /// The agent stops in order: exit.
    Leave,
}

/// The reason for which the worker has to put everything back and exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guardian) enum StopFor {
    /// Somebody stops the agent.
    Asked,
    /// The helper died. The agent has to start anew.
    HelperDied,
}

/// The measure against a silent helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guardian) enum Cure {
    /// It may have been stopped: continue it.
    Resume,
    /// It hangs and is useless.
    Kill,
}

/// The end of the watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guardian) enum End {
    /// The worker left by itself, with this code.
    Left(i32),
    /// The worker died, or has to be killed.
    Died(&'static str),
    /// The worker is silent and has to be killed, and there is no helper.
    HelperDied,
}

impl End {
    /// Returns the order to the helper for it.
    pub(in crate::guardian) const fn order(self) -> Order {
        if matches!(self, Self::Left(0)) { Order::Leave } else { Order::Heal }
    }
}

/// One check.
#[derive(Clone, Copy, Debug)]
pub(in crate::guardian) struct Saw {
    pub(in crate::guardian) now: Now,
    /// The intended wait before this check.
    pub(in crate::guardian) interval: Duration,
    /// Whether the worker has ended; if so, its exit code, or `None` if a signal killed it.
    pub(in crate::guardian) worker_ended: Option<Option<i32>>,
    pub(in crate::guardian) worker_beats: u64,
    pub(in crate::guardian) helper_ended: bool,
    pub(in crate::guardian) helper_beats: u64,
    /// The worker's earliest deadline; 0 if there is none.
    pub(in crate::guardian) deadline: u64,
    /// The worker serves.
    pub(in crate::guardian) ready: bool,
    /// Somebody stops the agent.
    pub(in crate::guardian) signalled: bool,
}

/// The steps after a check, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::guardian) struct Todo {
    /// Tell the worker to put everything back and exit.
    pub(in crate::guardian) stop: Option<StopFor>,
    /// Tell the service manager that the agent serves.
    pub(in crate::guardian) tell_ready: bool,
    /// Do this to the helper.
    pub(in crate::guardian) helper: Option<Cure>,
    /// The watch is over. A worker that still runs is killed.
    pub(in crate::guardian) end: Option<End>,
}

/// The guardian's memory of earlier checks.
#[derive(Debug)]
pub(in crate::guardian) struct Guardian {
    worker: Pulse,
    helper: Pulse,
    overdue: Overdue,
    ready: bool,
    stopping: bool,
}

impl Guardian {
    pub(in crate::guardian) const fn new(now: Now, limits: Limits) -> Self {
        Self {
            worker: Pulse::new(now, limits.stale_after),
            helper: Pulse::new(now, limits.stale_after),
            overdue: Overdue::new(now, limits.grace),
            ready: false,
            stopping: false,
        }
    }

    pub(in crate::guardian) fn check(&mut self, saw: &Saw) -> Todo {
        let mut todo = Todo::default();
        if let Some(code) = saw.worker_ended {
            todo.end = Some(code.map_or(End::Died("the worker was killed"), End::Left));
            return todo;
        }
        if !self.stopping && saw.helper_ended {
            todo.stop = Some(StopFor::HelperDied);
        }
        if saw.signalled {
            todo.stop = Some(StopFor::Asked);
        }
        self.stopping |= todo.stop.is_some();
        todo.tell_ready = saw.ready && !std::mem::replace(&mut self.ready, saw.ready);
        // A stopped helper can be continued. One that hangs is useless, so the agent has to restart.
        todo.helper = match self.helper.silence(saw.now, saw.helper_beats, saw.interval, saw.interval) {
            _ if saw.helper_ended => None,
            0 => None,
            1 => Some(Cure::Resume),
            _ => Some(Cure::Kill),
        };
        let stale = self.worker.is_stale(saw.now, saw.worker_beats, saw.interval);
        todo.end = if self.overdue.is_over(saw.now, saw.deadline, saw.interval) {
            Some(End::Died("the worker did not keep a deadline"))
        } else if stale && (saw.helper_ended || todo.helper == Some(Cure::Kill)) {
            Some(End::HelperDied)
        } else if stale {
            Some(End::Died("the worker gave no sign of life"))
        } else {
            None
        };
        todo
    }
}

/// The helper's result, as the guardian waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guardian) enum Waited {
    /// It is not there yet. The helper may have been stopped: continue it.
    Resume,
    /// The helper put back, and this is its exit code.
    Code(i32),
    /// The helper died or hangs; it is killed, and the guardian puts back by itself.
    Nobody,
}

/// The guardian's wait for the helper, after the order.
#[derive(Clone, Copy, Debug)]
pub(in crate::guardian) struct Awaited {
    /// End of the wait, by the clock of the awake host.
    until: u64,
}

impl Awaited {
    pub(in crate::guardian) fn new(now: Now, limits: Limits) -> Self {
        Self { until: now.awake_after(limits.undo_budget * 2) }
    }

    pub(in crate::guardian) const fn check(self, now: Now, helper_ended: Option<Option<i32>>) -> Waited {
        match helper_ended {
            Some(Some(code)) => Waited::Code(code),
            Some(None) => Waited::Nobody,
            None if now.awake_us < self.until => Waited::Resume,
            None => Waited::Nobody,
        }
    }
}
