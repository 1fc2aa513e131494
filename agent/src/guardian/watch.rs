//! Concludes from the checks of one watcher whether another process is silent, and whether a deadline was missed.
//!
//! Reads no clock and no shared memory: each check gets the time and the number of heartbeats. So a test of a pause of hours
//! takes no time.

use std::time::Duration;

use firedrill_wire::Span;

use crate::time::Time;

/// The time of a check.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Microseconds of the clock that counts through suspend. Deadlines are times of this clock.
    pub(super) boot_us: u64,
    /// Microseconds of the clock that stands still during suspend. Silence is measured by this clock.
    pub(super) awake_us: u64,
}

impl Now {
    /// Reads the clocks.
    pub(super) fn of(time: &dyn Time) -> Self {
        Self { boot_us: time.boot_us(), awake_us: time.awake_us() }
    }

    /// Returns the moment after this time, in microseconds of the clock that stands still during suspend.
    pub(super) fn awake_after(self, time: Duration) -> u64 {
        self.awake_us.saturating_add(Span::from(time).as_micros())
    }
}

/// Measures the time between the checks of a watcher. Time beyond the intended wait does not count: then the whole machine or
/// the watcher itself was paused, and that is no silence of the other process.
#[derive(Debug)]
struct Checks {
    /// The time of the last check.
    last_awake_us: u64,
}

impl Checks {
    /// Returns the time since the last check, limited to the intended `interval`.
    fn next(&mut self, now: Now, interval: Duration) -> Duration {
        let before = std::mem::replace(&mut self.last_awake_us, now.awake_us);
        Duration::from_micros(now.awake_us.saturating_sub(before)).min(interval)
    }
}

/// Watches the heartbeats of another process.
#[derive(Debug)]
pub(super) struct Pulse {
    /// The number of heartbeats at the last check.
    last: u64,
    /// The time for which the number has not changed.
    silent: Duration,
    /// The longest silence of a living process.
    limit: Duration,
    checks: Checks,
}

impl Pulse {
    /// Begins the watch.
    pub(super) const fn new(now: Now, limit: Duration) -> Self {
        let checks = Checks { last_awake_us: now.awake_us };
        Self { last: u64::MAX, silent: Duration::ZERO, limit, checks }
    }

    /// Checks the number of heartbeats, after a wait of at most `interval`. `beat` is the interval between the heartbeats of
    /// the other process. Returns the silence as a multiple of the limit, rounded down: 0 means that the process lives.
    pub(super) fn silence(&mut self, now: Now, beats: u64, interval: Duration, beat: Duration) -> u32 {
        let waited = self.checks.next(now, interval);
        if beats == self.last {
            self.silent += waited;
        } else {
            self.last = beats;
            self.silent = Duration::ZERO;
        }
        // Heartbeats and checks have no common rhythm, so a living process may show no heartbeat for up to two intervals.
        let limit = self.limit.max(interval.max(beat) * 2);
        // One nanosecond less, because a silence of exactly the limit is still allowed.
        let times = self.silent.as_nanos().saturating_sub(1) / limit.as_nanos().max(1);
        u32::try_from(times).unwrap_or(u32::MAX)
    }

    /// Checks the number of heartbeats, which come as often as the checks, after a wait of at most `interval`. Returns whether
    /// there was none for too long.
    pub(super) fn is_stale(&mut self, now: Now, beats: u64, interval: Duration) -> bool {
        self.silence(now, beats, interval, interval) > 0
    }
}

/// Watches the earliest deadline. After a pause of the whole machine, a deadline may have passed before any process could act.
/// So the process that has to act gets a grace period, which begins when the watcher sees the passed deadline.
#[derive(Debug)]
pub(super) struct Overdue {
    /// The deadline at the last check.
    deadline: u64,
    /// The time for which the watcher has seen this deadline as passed.
    watched: Duration,
    grace: Duration,
    checks: Checks,
}

impl Overdue {
    /// Begins the watch.
    pub(super) const fn new(now: Now, grace: Duration) -> Self {
        let checks = Checks { last_awake_us: now.awake_us };
        Self { deadline: 0, watched: Duration::ZERO, grace, checks }
    }

    /// Checks the deadline (0 if there is none), after a wait of at most `interval`. Returns whether it has passed, no process
    /// has moved it since, and the grace period is over.
    pub(super) fn is_over(&mut self, now: Now, deadline: u64, interval: Duration) -> bool {
        let waited = self.checks.next(now, interval);
        let late = Duration::from_micros(now.boot_us.saturating_sub(deadline));
        if deadline == 0 || late.is_zero() || std::mem::replace(&mut self.deadline, deadline) != deadline {
            self.watched = Duration::ZERO;
            return false;
        }
        self.watched += waited.min(late);
        late > self.grace && self.watched >= self.grace
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::simulated::Simulated;

    const STEP: Duration = Duration::from_millis(100);

    fn now(clock: &Simulated) -> Now {
        Now::of(clock)
    }

    #[test]
    fn a_pulse_is_stale_only_after_enough_watched_silence() {
        let (mut beats, clock) = (0, Simulated::at(1_000_000));
        let mut pulse = Pulse::new(now(clock), Duration::from_secs(2));
        let mut look = |beat: bool, time| {
            beats += u64::from(beat);
            clock.pass(time);
            pulse.silence(now(clock), beats, STEP, STEP)
        };
        assert!((0..100).all(|_| look(true, STEP) == 0));
        // A long pause of the watcher itself counts as one check.
        assert_eq!(look(false, Duration::from_secs(3600)), 0);
        // With the check after the pause, 20 checks stay within the limit of 2 s.
        assert_eq!((0..60).map(|_| look(false, STEP)).filter(|times| *times == 0).count(), 19);
        assert_eq!(look(false, STEP), 3, "6.2 s of silence are three times the limit");
        assert_eq!(look(true, STEP), 0);
    }

    #[test]
    fn the_time_of_a_suspend_is_no_silence() {
        let clock = Simulated::at(0);
        let mut pulse = Pulse::new(now(clock), Duration::from_secs(2));
        for _ in 0..100 {
            clock.suspend(Duration::from_secs(3600));
            assert_eq!(pulse.silence(now(clock), 0, STEP, STEP), 0);
        }
    }

    #[test]
    fn a_process_with_rare_heartbeats_is_not_stale_between_them() {
        let clock = Simulated::at(0);
        let beat = Duration::from_secs(60);
        let mut pulse = Pulse::new(now(clock), Duration::from_millis(1));
        for _ in 0..1_200 {
            clock.pass(STEP);
            assert_eq!(pulse.silence(now(clock), 0, STEP, beat), 0);
        }
        clock.pass(STEP);
        clock.pass(STEP);
        assert_eq!(pulse.silence(now(clock), 0, STEP * 2, beat), 1);
    }

    #[test]
    fn a_deadline_is_over_after_a_grace_that_was_watched() {
        let clock = Simulated::at(0);
        let mut overdue = Overdue::new(now(clock), Duration::from_secs(1));
        let mut look = |deadline, time| {
            clock.pass(time);
            overdue.is_over(now(clock), deadline, STEP)
        };
        assert!(!look(0, STEP), "no deadline");
        // The deadline passed long ago while no process ran, as after a suspend.
        assert!(!look(1_000_000, Duration::from_secs(3600)), "the grace begins with the first look");
        assert_eq!((0..20).filter(|_| !look(1_000_000, STEP)).count(), 9, "the whole grace, and no more");
        assert!(!look(9_000_000_000, STEP), "the deadline was moved");
        assert!(!look(0, STEP));
    }
}
