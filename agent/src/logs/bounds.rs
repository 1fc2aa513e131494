//! The handle of a thread that reads logs, and the moments at which the thread stops.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use firedrill_wire::RunId;

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread that reads the logs of a run.
pub(super) struct Reader {
    pub(super) run: RunId,
    /// Number of its logs.
    pub(super) logs: usize,
    stop: AtomicBool,
    ended: Mutex<bool>,
    told: Condvar,
}

impl Reader {
    pub(super) fn new(run: &RunId, logs: usize) -> Self {
        let (stop, ended, told) = (AtomicBool::new(false), Mutex::new(false), Condvar::new());
        Self { run: run.clone(), logs, stop, ended, told }
    }

    /// Tells it to read nothing more. Returns at once.
    pub(super) fn stop(&self) {
        self.stop.store(true, SeqCst);
        // The lock orders this before or after the check of a thread that begins to wait; nobody keeps it.
        drop(lock(&self.ended));
        self.told.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(SeqCst)
    }

    pub(super) fn has_ended(&self) -> bool {
        *lock(&self.ended)
    }

    /// Waits until it has ended, at most for that time.
    pub(super) fn wait_ended(&self, at_most: Duration) {
        drop(self.told.wait_timeout_while(lock(&self.ended), at_most, |ended| !*ended));
    }

    /// The thread waits for the next look. Returns whether there is one.
    pub(super) fn goes_on(&self, every: Duration) -> bool {
        let waited = self.told.wait_timeout_while(lock(&self.ended), every, |_| !self.is_stopped());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        !self.is_stopped()
    }
}

/// Marks a reader as ended when its thread ends, for any reason.
pub(super) struct Ending<'r>(pub(super) &'r Reader);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        *lock(&self.0.ended) = true;
        self.0.told.notify_all();
    }
}

/// The moments at which a reader stops, also in the middle of a file.
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
