//! The pacer for systems without timerfd: sleeps until shortly before, then looks at the clock between other tasks.

use std::{io, time::Duration};

use crate::clock::boot_us;

/// The most that tokio's timers may be late, in microseconds.
const COARSE_US: u64 = 2000;

/// One sleeper's timer.
pub(crate) struct Timer;

impl Timer {
    /// Returns a timer. Cannot fail: the result has the type of that of the kernel's timer.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// Returns at that moment or just after, but lets other tasks run first.
    pub(crate) async fn until(&self, at_us: u64) -> io::Result<()> {
        let wait = at_us.saturating_sub(boot_us());
        if wait > COARSE_US {
            tokio::time::sleep(Duration::from_micros(wait - COARSE_US)).await;
        }
        tokio::task::yield_now().await;
        while boot_us() < at_us {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
