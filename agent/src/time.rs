//! Time, as a narrow port: the clocks, and threads that sleep until a moment or until they are woken. Never decides anything by the time.
//!
//! The agent's core reads every time that a decision depends on from this port, and sleeps by it. The agent uses
//! [`HostTime`]; tests run whole injections in the simulated time of [`simulated`], with the same code.

#[doc(hidden)]
pub mod simulated;

use std::{fmt::Debug, io, os::fd::AsFd, sync::Arc, time::Duration};

use firedrill_probe::clock;
use rustix::time::{ClockId, clock_gettime};

use crate::bell::{Alarm, readable};

/// The clocks of a host, and functions that sleep by them.
pub trait Time: Debug + Send + Sync {
    /// Returns the microseconds of the clock that never jumps and counts through suspend (CLOCK_BOOTTIME). All moments are
    /// by this clock.
    fn boot_us(&self) -> u64;

    /// Returns the microseconds of the clock that stops while the host is suspended (CLOCK_MONOTONIC). Budgets of
    /// work are counted by this clock: a suspend does not use them up.
    fn awake_us(&self) -> u64;

    /// Returns the microseconds since 1970 UTC by the wall clock. It jumps when somebody sets it; it is only for people and policies.
    fn wall_us(&self) -> u64;

    /// Makes a pair for one thread: the thread sleeps by the first, and other threads wake it by the second.
    ///
    /// # Errors
    /// No file descriptor is left.
    fn sleeper(&self) -> io::Result<(Box<dyn Sleeper>, Arc<dyn Waker>)>;

    /// Sleeps for that long.
    fn sleep(&self, time: Duration);

    /// Waits until one of these is readable, or at most for that long.
    fn wait_any(&self, fds: &[&dyn AsFd], within: Duration);
}

/// The sleep of one thread.
pub trait Sleeper: Send {
    /// Sleeps until that moment (microseconds of CLOCK_BOOTTIME; `None` is for ever) or until it is woken. May return
    /// early; the caller checks again.
    fn wait(&self, until_boot_us: Option<u64>);
}

/// Wakes one thread.
pub trait Waker: Send + Sync {
    /// Wakes the thread if it sleeps; otherwise its next sleep returns at once. Never blocks.
    fn wake(&self);
}

/// The kernel's clocks and timers.
#[derive(Clone, Copy, Debug)]
pub struct HostTime;

impl Time for HostTime {
    fn boot_us(&self) -> u64 {
        clock::boot_us()
    }

    fn awake_us(&self) -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1000
    }

    fn wall_us(&self) -> u64 {
        clock::wall_us()
    }

    fn sleeper(&self) -> io::Result<(Box<dyn Sleeper>, Arc<dyn Waker>)> {
        let alarm = Arc::new(Alarm::new()?);
        Ok((Box::new(Arc::clone(&alarm)), alarm))
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn wait_any(&self, fds: &[&dyn AsFd], within: Duration) {
        readable(fds, within);
    }
}

impl Sleeper for Arc<Alarm> {
    fn wait(&self, until_boot_us: Option<u64>) {
        Alarm::wait(self, until_boot_us);
    }
}

impl Waker for Alarm {
    fn wake(&self) {
        self.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleeper_wakes_at_its_moment_and_when_woken() {
        let (sleeper, waker) = HostTime.sleeper().unwrap();
        let until = HostTime.boot_us() + 20_000;
        let mut waits = 0;
        while HostTime.boot_us() < until {
            sleeper.wait(Some(until));
            waits += 1;
        }
        assert!(waits < 100, "it did not sleep: {waits} waits");
        waker.wake();
        sleeper.wait(None);
        assert!(HostTime.awake_us() <= HostTime.boot_us() + 1000);
    }
}
