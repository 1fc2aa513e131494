//! Shows background tasks whether the run's own task is blocked while it writes the log or the screen.
//!
//! Only that task checks guards, the time limit and people's halts. While it is blocked, for example by a network file system
//! that does not answer, nothing would end a fault. So leases are not renewed then. Ends nothing itself.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

/// The value while nothing is being written.
const NOTHING: i64 = i64::MIN;

/// The time since which the run's task has been writing, shared with other tasks.
#[derive(Clone, Debug)]
pub(super) struct Blocked(Arc<AtomicI64>);

impl Blocked {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(NOTHING)))
    }

    /// Does work that may block, and shows that until it is done. `now_us` is the current time on the run's clock.
    pub(super) fn during<T>(&self, now_us: i64, work: impl FnOnce() -> T) -> T {
        self.0.store(now_us, Ordering::Relaxed);
        let done = work();
        self.0.store(NOTHING, Ordering::Relaxed);
        done
    }

    /// Returns the time in microseconds for which such work has lasted at `now_us`; 0 if there is none.
    pub(super) fn for_us(&self, now_us: i64) -> i64 {
        match self.0.load(Ordering::Relaxed) {
            NOTHING => 0,
            since_us => now_us.saturating_sub(since_us).max(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_work_that_goes_on_counts() {
        let blocked = Blocked::new();
        assert_eq!(blocked.for_us(5_000), 0);
        assert_eq!(blocked.during(1_000, || blocked.clone().for_us(5_000)), 4_000);
        assert_eq!(blocked.for_us(9_000), 0);
    }
}
