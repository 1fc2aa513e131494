//! The guardian's decisions: it watches worker and helper, and decides when the worker has to be killed.

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
    /// The helper died, so the agent has to be started again.
    HelperDied,
}

/// The measure against a silent helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guardian) enum Cure {
    /// Continue it, because it may have been stopped.
    Resume,
    /// Kill it, because it hangs and cannot help.
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
    /// Returns the order that the helper gets at this end.
    pub(in crate::guardian) const fn order(self) -> Order {
        if matches!(self, Self::Left(0)) { Order::Leave } else { Order::Heal }
    }
}

/// The result of one check by the guardian.
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
    /// The worker's earliest deadline, in microseconds of CLOCK_BOOTTIME; 0 if there is none.
    pub(in crate::guardian) deadline: u64,
    /// Whether the worker serves.
    pub(in crate::guardian) ready: bool,
    /// Whether somebody stops the agent by a signal.
    pub(in crate::guardian) signalled: bool,
}

/// The steps after a check, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::guardian) struct Todo {
    /// Tell the worker to put everything back and exit.
    pub(in crate::guardian) stop: Option<StopFor>,
    /// Tell the service manager that the agent serves.
    pub(in crate::guardian) tell_ready: bool,
    /// Take this measure against the helper.
    pub(in crate::guardian) helper: Option<Cure>,
    /// End the watch. A worker that still runs is killed.
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
    /// Begins the watch.
    pub(in crate::guardian) const fn new(now: Now, limits: Limits) -> Self {
        Self {
            worker: Pulse::new(now, limits.stale_after),
            helper: Pulse::new(now, limits.stale_after),
            overdue: Overdue::new(now, limits.grace),
            ready: false,
            stopping: false,
        }
    }

    /// Decides the next steps after a check.
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
        // A stopped helper can be continued. A helper that hangs is killed, and then the agent has to be started again.
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

/// The next step while the guardian waits for the helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guardian) enum Waited {
    /// The helper is not ready yet. Continue it, because it may have been stopped.
    Resume,
    /// The helper has put everything back, and this is its exit code.
    Code(i32),
    /// The helper died or hangs. Kill it, and put everything back in its place.
    Nobody,
}

/// The guardian's wait for the helper, after the order.
#[derive(Clone, Copy, Debug)]
pub(in crate::guardian) struct Awaited {
    /// End of the wait, by the clock of the awake host.
    until: u64,
}

impl Awaited {
    /// Begins the wait. The helper gets the time of two undos: it may wait for a worker that leaves by itself before it
    /// undoes.
    pub(in crate::guardian) fn new(now: Now, limits: Limits) -> Self {
        Self { until: now.awake_after(limits.undo_budget * 2) }
    }

    /// Decides the next step. `helper_ended` is as in [`Saw::worker_ended`].
    pub(in crate::guardian) const fn check(self, now: Now, helper_ended: Option<Option<i32>>) -> Waited {
        match helper_ended {
            Some(Some(code)) => Waited::Code(code),
            Some(None) => Waited::Nobody,
            None if now.awake_us < self.until => Waited::Resume,
            None => Waited::Nobody,
        }
    }
}
