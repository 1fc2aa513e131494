//! Waking somebody who sleeps, within a process or across forks, and sleeping until a moment on the clock that counts
//! through suspend.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime},
};

/// Something that can be rung and heard. Rings add up until they are heard.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    /// A new one.
    ///
    /// # Errors
    /// No file descriptor is left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Rings. Never blocks.
    pub fn ring(&self) {
        // Fails only when it was rung 2^64 times without being heard.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Takes all rings away; true if there were any.
    pub fn hear(&self) -> bool {
        rustix::io::read(&self.0, &mut [0; 8]).is_ok()
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A bell with a clock: wakes at a moment by CLOCK_BOOTTIME, or when it is rung.
#[derive(Debug)]
pub struct Alarm {
    timer: OwnedFd,
    bell: Bell,
}

impl Alarm {
    /// A new one.
    ///
    /// # Errors
    /// No file descriptor is left.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self { timer: timerfd_create(TimerfdClockId::Boottime, flags)?, bell: Bell::new()? })
    }

    /// Wakes whoever waits, or whoever waits next.
    pub fn ring(&self) {
        self.bell.ring();
    }

    /// Waits until that moment (microseconds of CLOCK_BOOTTIME; none: for ever) or until it is rung. May come back
    /// early; the caller looks again.
    pub fn wait(&self, until_boot_us: Option<u64>) {
        let spec = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            // All zero would mean never.
            it_value: until_boot_us.map_or(Timespec { tv_sec: 0, tv_nsec: 0 }, |us| timespec(us.max(1))),
        };
        if timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &spec).is_err() {
            // Without a timer, look again soon rather than never.
            std::thread::sleep(std::time::Duration::from_millis(1));
            return;
        }
        let mut fds = [PollFd::new(&self.timer, PollFlags::IN), PollFd::new(&self.bell, PollFlags::IN)];
        let _ = poll(&mut fds, None);
        self.bell.hear();
        let _ = rustix::io::read(&self.timer, &mut [0; 8]);
    }
}

/// Microseconds as the kernel takes them.
pub(crate) fn timespec(us: u64) -> Timespec {
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
}
