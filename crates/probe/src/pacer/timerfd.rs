//! A timer of the kernel on the clock that counts through suspend: late by some ten microseconds, and back at once
//! after a suspend.

use std::{io, os::fd::OwnedFd};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::clock::boot_us;

/// One sleeper's timer.
pub(crate) struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    /// Returns a timer. Needs a runtime with its I/O driver.
    pub(crate) fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        // SAFETY: the descriptor is owned by the value that is registered, always the same one, and open as long.
        let timer = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) }?;
        Ok(Self(timer))
    }

    /// Returns at that moment or just after, but lets other tasks run first.
    pub(crate) async fn until(&self, at_us: u64) -> io::Result<()> {
        if boot_us() >= at_us {
            tokio::task::yield_now().await;
            return Ok(());
        }
        let at = Timespec {
            tv_sec: i64::try_from(at_us / 1_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(at_us % 1_000_000 * 1000).unwrap_or(0),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::ABSTIME, &once)?;
        loop {
            // Setting the timer also resets it, so it need not be read; an old wake-up is seen by the clock.
            self.0.readable().await?.clear_ready();
            if boot_us() >= at_us {
                return Ok(());
            }
        }
    }
}
