//! The handle of a thread that reads logs, and the bounds at which the thread stops. Never reads a log.

use std::{
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use firedrill_wire::RunId;

use crate::mutex::lock;

/// A thread that reads the logs of a run.
pub(super) struct Reader {
    pub(super) run: RunId,
    /// Number of its logs.
    pub(super) logs: usize,
    stop: AtomicBool,
    ended: Mutex<bool>,
    /// Signals a change of `stop` or `ended`.
    changed: Condvar,
}

impl Reader {
    pub(super) fn new(run: &RunId, logs: usize) -> Self {
        let (stop, ended, changed) = (AtomicBool::new(false), Mutex::new(false), Condvar::new());
        Self { run: run.clone(), logs, stop, ended, changed }
    }

    /// Tells it to read nothing more. Returns at once.
    pub(super) fn stop(&self) {
        self.stop.store(true, SeqCst);
        // A thread checks `stop` with this lock held and then waits. Taking the lock once makes sure that the signal does not come
        // between its check and its wait.
        drop(lock(&self.ended));
        self.changed.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(SeqCst)
    }

    pub(super) fn has_ended(&self) -> bool {
        *lock(&self.ended)
    }

    /// Waits until the thread has ended, at most for that time.
    pub(super) fn wait_ended(&self, at_most: Duration) {
        drop(self.changed.wait_timeout_while(lock(&self.ended), at_most, |ended| !*ended));
    }

    /// Makes the reading thread wait until its next look at the logs. Returns whether there is one.
    pub(super) fn goes_on(&self, every: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(lock(&self.ended), every, |_| !self.is_stopped());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        !self.is_stopped()
    }
}

/// Marks a reader as ended when its thread ends, for any reason.
pub(super) struct Ending<'r>(pub(super) &'r Reader);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        *lock(&self.0.ended) = true;
        self.0.changed.notify_all();
    }
}

/// The bounds at which a reader stops, also in the middle of a file: a request to stop, and a point in time.
pub(super) struct Bounds<'r> {
    pub(super) reader: &'r Reader,
    pub(super) until: Instant,
}

impl Bounds<'_> {
    /// Whether nothing more is to be read.
    pub(super) fn are_over(&self) -> bool {
        self.reader.is_stopped() || Instant::now() >= self.until
    }
}
