//! Wakes a sleeping thread of this process or of a process that it has forked. Lets a thread sleep until a time of `CLOCK_BOOTTIME`, which
//! counts through suspend.
//!
//! Only wakes: a bell carries no data, and a thread may wake early. The thread checks by itself what there is to do.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use firedrill_wire::Span;
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime},
};

/// A bell that one thread rings and another one hears (an eventfd). All rings before it is heard count as one.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    /// Makes a bell.
    ///
    /// # Errors
    /// The kernel refused it, mostly because no file descriptor is left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Rings. Never blocks.
    pub fn ring(&self) {
        // Fails only after nearly 2^64 rings that nobody heard. The bell is still readable then, so no ring is missed.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Clears all rings. Returns whether there were any. Never blocks.
    pub fn hear(&self) -> bool {
        rustix::io::read(&self.0, &mut [0; 8]).is_ok()
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A bell with a timer: wakes a thread at a time of CLOCK_BOOTTIME, or when it is rung. For one waiting thread.
#[derive(Debug)]
pub struct Alarm {
    timer: OwnedFd,
    bell: Bell,
}

impl Alarm {
    /// Makes an alarm.
    ///
    /// # Errors
    /// The kernel refused it, mostly because no file descriptor is left.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self { timer: timerfd_create(TimerfdClockId::Boottime, flags)?, bell: Bell::new()? })
    }

    /// Wakes the thread that waits. If none waits, the next wait returns at once.
    pub fn ring(&self) {
        self.bell.ring();
    }

    /// Waits until the alarm is rung, or until `until_boot_us` (microseconds of `CLOCK_BOOTTIME`). With `None` it waits only for a ring. May
    /// return early, so the caller checks the time again.
    pub fn wait(&self, until_boot_us: Option<u64>) {
        let spec = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            // A time of zero disarms the timer. That is right for `None` only, so the time 0 becomes 1 µs.
            it_value: until_boot_us.map_or(Timespec { tv_sec: 0, tv_nsec: 0 }, |us| timespec(us.max(1))),
        };
        if timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &spec).is_err() {
            // Without the timer, the caller checks the time every millisecond.
            std::thread::sleep(Duration::from_millis(1));
            return;
        }
        let mut fds = [PollFd::new(&self.timer, PollFlags::IN), PollFd::new(&self.bell, PollFlags::IN)];
        let _ = poll(&mut fds, None);
        self.bell.hear();
        let _ = rustix::io::read(&self.timer, &mut [0; 8]);
    }
}

/// Waits until one of these descriptors is readable, for at most the time `within`. Returns whether one is. Returns false early if a signal
/// interrupts the wait.
pub(crate) fn readable(fds: &[&dyn AsFd], within: Duration) -> bool {
    let mut fds: Vec<PollFd<'_>> =
        fds.iter().map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)).collect();
    matches!(poll(&mut fds, Some(&timespec(Span::from(within).as_micros()))), Ok(1..))
}

/// Converts microseconds to a `timespec`.
fn timespec(us: u64) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(us / 1_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(us % 1_000_000).unwrap_or(0) * 1000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firedrill_probe::clock::boot_us;

    #[test]
    fn an_alarm_wakes_at_its_time_and_when_rung() {
        let alarm = Alarm::new().unwrap();
        let until = boot_us() + 20_000;
        while boot_us() < until {
            alarm.wait(Some(until));
        }
        alarm.wait(Some(1));
        alarm.ring();
        alarm.wait(None);
    }

    #[test]
    fn only_a_rung_bell_is_readable() {
        let (quiet, rung) = (Bell::new().unwrap(), Bell::new().unwrap());
        let began = boot_us();
        assert!(!readable(&[&quiet, &rung], Duration::from_millis(20)));
        assert!(boot_us() - began >= 20_000);
        rung.ring();
        assert!(readable(&[&quiet, &rung], Duration::MAX));
        assert!(!readable(&[&quiet], Duration::ZERO) && !readable(&[], Duration::ZERO));
    }
}
