//! Decides the next step of each of the three processes, from one check of the other two.
//!
//! Pure functions: they read no clock, no shared memory and no process, and change nothing. The loops of guardian, helper and
//! worker make a check, call this module, and act. `simulation.rs` runs all three together in virtual time by the same code.

mod guardian;
mod helper;
#[cfg(test)]
mod simulation;
mod worker;

use std::time::Duration;

pub(super) use self::{
    guardian::{Awaited, Cure, End, Guardian as Watched, Order, Saw as GuardianSaw, StopFor, Waited},
    helper::{Found, Helper, Leaving, Next as HelperNext, Saw as HelperSaw},
    worker::{Guarded, Saw as WorkerSaw, Why as WorkerWhy, Worker},
};

/// The time-outs of all three processes, by the agent's configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// A process without a heartbeat for this time counts as silent.
    pub(super) stale_after: Duration,
    /// The time after a deadline for which the other processes still leave it to the worker to act.
    pub(super) grace: Duration,
    /// Maximum time of an undo.
    pub(super) undo_budget: Duration,
}

/// Interval at which the guardian looks whether the helper has put everything back.
pub(super) const AWAIT_EVERY: Duration = Duration::from_millis(200);
/// Interval at which the helper looks whether a worker that leaves by itself has ended.
pub(super) const LEAVE_EVERY: Duration = Duration::from_millis(100);

/// Returns the interval between checks of guardian and helper. It is short while injections are open.
pub(super) const fn interval(open: u32) -> Duration {
    if open == 0 { Duration::from_secs(1) } else { Duration::from_millis(100) }
}
