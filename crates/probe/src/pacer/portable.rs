//! The pacer for systems without timerfd: sleeps until shortly before, then looks at the clock between other tasks.

use std::{io, time::Duration};

use crate::clock::boot_us;

/// tokio's timers may be late by this, in microseconds.
const COARSE_US: u64 = 2000;

/// One sleeper's timer.
pub(crate) struct Timer;

impl Timer {
    /// The same shape as the kernel's; cannot fail.
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
