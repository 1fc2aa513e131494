//! Concludes from the checks of one watcher whether another process is silent, and whether a deadline was missed.
//!
//! Reads no clock and no memory of others: each check is told the time and the counter. Therefore a test of a pause
//! of hours takes no time.

use std::time::Duration;

use firedrill_wire::Span;

use crate::time::Time;

/// The time of a check.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Microseconds of the clock that counts through suspend, by which deadlines are.
    pub(super) boot_us: u64,
    /// Microseconds of the clock that stands still meanwhile, by which silence is counted.
    pub(super) awake_us: u64,
}

impl Now {
    pub(super) fn of(time: &dyn Time) -> Self {
        Self { boot_us: time.boot_us(), awake_us: time.awake_us() }
    }

    /// Returns the moment after that long, by the clock of the awake host.
    pub(super) fn awake_after(self, time: Duration) -> u64 {
        self.awake_us.saturating_add(Span::from(time).as_micros())
    }
}

/// Measures for how long a watcher has watched. Time beyond the intended wait does not count, so that a pause of the
/// whole machine, or of the watcher, is blamed on nobody.
#[derive(Debug)]
struct Looks(u64);

impl Looks {
    /// Returns the time since the last check, limited to the intended `interval`.
    fn next(&mut self, now: Now, interval: Duration) -> Duration {
        let before = std::mem::replace(&mut self.0, now.awake_us);
        Duration::from_micros(now.awake_us.saturating_sub(before)).min(interval)
    }
}

/// Watches a heartbeat.
#[derive(Debug)]
pub(super) struct Pulse {
    last: u64,
    silent: Duration,
    limit: Duration,
    looks: Looks,
}

impl Pulse {
    pub(super) const fn new(now: Now, limit: Duration) -> Self {
        Self { last: u64::MAX, silent: Duration::ZERO, limit, looks: Looks(now.awake_us) }
    }

    /// Checks, after a wait of at most `interval`, the number of heartbeats, which come as often as the checks or every
    /// `beat`. Returns the silence as a multiple of the limit: 0 is alive.
    pub(super) fn silence(&mut self, now: Now, beats: u64, interval: Duration, beat: Duration) -> u32 {
        let waited = self.looks.next(now, interval);
        if beats == self.last {
            self.silent += waited;
        } else {
            self.last = beats;
            self.silent = Duration::ZERO;
        }
        // Heartbeats come as often as checks, so two may fall into one interval: allow for one more.
        let limit = self.limit.max(interval.max(beat) * 2);
        let times = self.silent.as_nanos().saturating_sub(1) / limit.as_nanos().max(1);
        u32::try_from(times).unwrap_or(u32::MAX)
    }

    /// Checks, after a wait of at most `interval`; true if there was no heartbeat for too long.
    pub(super) fn is_stale(&mut self, now: Now, beats: u64, interval: Duration) -> bool {
        self.silence(now, beats, interval, interval) > 0
    }
}

/// Watches the earliest deadline. After a pause of the whole machine it has passed for every process at once, so the
/// one that has to act gets a grace period.
#[derive(Debug)]
pub(super) struct Overdue {
    deadline: u64,
    watched: Duration,
    grace: Duration,
    looks: Looks,
}

impl Overdue {
    pub(super) const fn new(now: Now, grace: Duration) -> Self {
        Self { deadline: 0, watched: Duration::ZERO, grace, looks: Looks(now.awake_us) }
    }

    /// Checks, after a wait of at most `interval`, the deadline (0: there is none). Returns whether it passed more than the
    /// grace period ago, as watched, and nobody acted.
    pub(super) fn is_over(&mut self, now: Now, deadline: u64, interval: Duration) -> bool {
        let waited = self.looks.next(now, interval);
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
    fn a_pulse_is_stale_only_after_so_much_watched_silence() {
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
        // The limit is passed with the next check after it.
        assert_eq!((0..60).map(|_| look(false, STEP)).filter(|times| *times == 0).count(), 19);
        assert_eq!(look(false, STEP), 3, "6.2 s of silence are three times as long as it may last");
        assert_eq!(look(true, STEP), 0);
    }

    #[test]
    fn nobody_is_silent_for_the_time_of_a_suspend() {
        let clock = Simulated::at(0);
        let mut pulse = Pulse::new(now(clock), Duration::from_secs(2));
        for _ in 0..100 {
            clock.suspend(Duration::from_secs(3600));
            assert_eq!(pulse.silence(now(clock), 0, STEP, STEP), 0);
        }
    }

    #[test]
    fn one_that_gives_signs_seldom_is_not_stale_between_them() {
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
        // It passed long ago while nobody watched, as after a suspend.
        assert!(!look(1_000_000, Duration::from_secs(3600)), "the grace begins with the first look");
        assert_eq!((0..20).filter(|_| !look(1_000_000, STEP)).count(), 9, "all of the grace, and no more");
        assert!(!look(9_000_000_000, STEP), "it was moved");
        assert!(!look(0, STEP));
    }
}
