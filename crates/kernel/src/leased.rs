//! The end of a thread's work that has a lease and a hold: the times at which it must end, and the way to stop the thread. Does no work
//! itself.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    thread::JoinHandle,
};

use firedrill_probe::clock::boot_us;

/// The end of some work: the end of its lease or of its hold, or a request to stop. Times are by [`boot_us`].
#[derive(Debug)]
pub(crate) struct Leased {
    until_us: AtomicU64,
    hold_until_us: u64,
    stop: AtomicBool,
}

impl Leased {
    pub(crate) const fn new(lease_until_us: u64, hold_until_us: u64) -> Self {
        Self { until_us: AtomicU64::new(lease_until_us), hold_until_us, stop: AtomicBool::new(false) }
    }

    /// Returns the end of the lease or of the hold, whichever is first.
    pub(crate) fn ends_us(&self) -> u64 {
        self.until_us.load(SeqCst).min(self.hold_until_us)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(SeqCst)
    }

    /// Whether the work must end: it was stopped, or the lease or the hold is over.
    pub(crate) fn is_over(&self) -> bool {
        self.is_stopped() || boot_us() >= self.ends_us()
    }

    /// Moves the end of the lease.
    pub(crate) fn renew(&self, lease_until_us: u64) {
        self.until_us.store(lease_until_us, SeqCst);
    }

    /// Asks the work to end. [`Worker::end`] also waits for that.
    pub(crate) fn stop(&self) {
        self.stop.store(true, SeqCst);
    }
}

/// The thread that does the work; `None` if it was never started or has been stopped.
#[derive(Debug)]
pub(crate) struct Worker(Option<JoinHandle<()>>);

impl Worker {
    pub(crate) const fn new(thread: Option<JoinHandle<()>>) -> Self {
        Self(thread)
    }

    pub(crate) fn runs(&self) -> bool {
        self.0.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Stops the work and waits until the thread has ended. `name` names the thread in the log if it has panicked.
    pub(crate) fn end(&mut self, leased: &Leased, name: &str) {
        leased.stop();
        if let Some(thread) = self.0.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::warn!("{name} had died");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;

    #[test]
    fn work_is_over_after_the_lease_or_the_hold_or_a_stop() {
        assert!(!Leased::new(u64::MAX, u64::MAX).is_over());
        let leased = Leased::new(u64::MAX, 1);
        assert!(leased.is_over() && leased.ends_us() == 1);
        let leased = Leased::new(1, u64::MAX);
        assert!(leased.is_over());
        leased.renew(u64::MAX);
        assert!(!leased.is_over());
        leased.stop();
        assert!(leased.is_over() && leased.is_stopped());
    }

    #[test]
    fn a_thread_that_waits_is_woken_and_has_ended_afterwards() {
        let leased = Arc::new(Leased::new(u64::MAX, u64::MAX));
        let working = Arc::clone(&leased);
        let thread = thread::spawn(move || {
            while !working.is_over() {
                thread::park();
            }
        });
        let mut worker = Worker::new(Some(thread));
        assert!(worker.runs());
        worker.end(&leased, "the test's thread");
        assert!(!worker.runs() && !Worker::new(None).runs());
    }
}
