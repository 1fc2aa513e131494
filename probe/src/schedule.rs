//! When each request is due: a fixed rate from a start, whatever happened to the requests before.
//!
//! Pure arithmetic; never reads a clock, and never skips a request without saying how many it skipped.

use std::time::Duration;

/// The most requests a second that one probe may make.
pub const MOST_RATE: f64 = 20_000.0;

/// Picoseconds in a microsecond: the period is kept so finely that the rate does not drift in a long run.
const PS_PER_US: u128 = 1_000_000;

/// The open-loop schedule of one probe. All times are in microseconds on one clock.
#[derive(Clone, Debug)]
pub struct Schedule {
    start_us: u64,
    end_us: u64,
    period_ps: u128,
    next: u64,
}

impl Schedule {
    /// Requests are due at `start_us + k / rate` for every k from 0 that falls before `end_us`. None where the rate
    /// is not above 0 and at most [`MOST_RATE`].
    #[must_use]
    pub fn new(start_us: u64, end_us: u64, rate: f64) -> Option<Self> {
        Some(Self { start_us, end_us, period_ps: period_ps(rate)?, next: 0 })
    }

    /// When request `k` is due, whether or not that is before the end.
    #[must_use]
    pub fn due(&self, k: u64) -> u64 {
        let after = u128::from(k) * self.period_ps / PS_PER_US;
        self.start_us.saturating_add(u64::try_from(after).unwrap_or(u64::MAX))
    }

    /// How many requests are due before that moment, those handed out included.
    #[must_use]
    pub fn due_before(&self, at_us: u64) -> u64 {
        let span = u128::from(at_us.min(self.end_us).saturating_sub(self.start_us));
        u64::try_from((span * PS_PER_US).div_ceil(self.period_ps)).unwrap_or(u64::MAX)
    }

    /// When the next request that was not handed out is due; none when the schedule has ended.
    #[must_use]
    pub fn peek(&self) -> Option<u64> {
        let due = self.due(self.next);
        (due < self.end_us).then_some(due)
    }

    /// Hands out all that are due before `at_us` at once; says how many they were.
    pub fn take_before(&mut self, at_us: u64) -> u64 {
        let upto = self.due_before(at_us);
        let taken = upto.saturating_sub(self.next);
        self.next = self.next.max(upto);
        taken
    }

    /// Hands out the next one; says when it is due.
    pub fn take(&mut self) -> Option<u64> {
        let due = self.peek()?;
        self.next += 1;
        Some(due)
    }

    /// Nothing is due from that moment on.
    pub fn end_at(&mut self, end_us: u64) {
        self.end_us = self.end_us.min(end_us);
    }

    /// When it ends.
    #[must_use]
    pub const fn end_us(&self) -> u64 {
        self.end_us
    }
}

/// The time between two requests in picoseconds.
fn period_ps(rate: f64) -> Option<u128> {
    if !(rate > 0.0 && rate <= MOST_RATE) {
        return None;
    }
    Some(Duration::try_from_secs_f64(1000.0 / rate).ok()?.as_nanos())
}

/// How many requests at that rate are due within that time, rounded up. None for a rate that cannot be.
#[must_use]
pub fn requests_within(rate: f64, span: Duration) -> Option<u64> {
    u64::try_from((span.as_nanos() * 1000).div_ceil(period_ps(rate)?)).ok()
}

/// How late a request may start and still be counted: a twentieth of the time-out, at least 5 ms.
#[must_use]
pub fn slip_limit_us(timeout_us: u64) -> u64 {
    (timeout_us / 20).max(crate::stall::FLOOR_US)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rate_does_not_drift() {
        let schedule = Schedule::new(7, u64::MAX, 3.0).unwrap();
        assert!(schedule.due(3 * 86_400).abs_diff(7 + 86_400_000_000) <= 1);
        let odd = Schedule::new(0, u64::MAX, 19_999.0).unwrap();
        assert!(odd.due(19_999 * 3600).abs_diff(3_600_000_000) <= 100);
    }

    #[test]
    fn rates_that_cannot_be_are_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 20_001.0, 1e-300] {
            assert!(Schedule::new(0, 1, rate).is_none(), "{rate}");
        }
    }

    #[test]
    fn requests_within_a_time_are_rounded_up() {
        assert_eq!(requests_within(100.0, Duration::from_millis(500)), Some(50));
        assert_eq!(requests_within(3.0, Duration::from_millis(500)), Some(2));
        assert_eq!(requests_within(0.0, Duration::from_millis(500)), None);
    }

    proptest! {
        #[test]
        fn counting_and_taking_agree(start in 0_u64..1 << 40, rate in 0.01_f64..20_000.0, span in 1_u64..3_000_000, cut in 0_u64..3_000_000) {
            let end = start + span;
            let mut one_by_one = Schedule::new(start, end, rate).unwrap();
            let mut mixed = one_by_one.clone();
            let total = one_by_one.due_before(u64::MAX);
            let mut taken = 0;
            let mut last = None;
            while let Some(due) = one_by_one.take() {
                prop_assert!(due < end && Some(due) >= last);
                last = Some(due);
                taken += 1;
            }
            prop_assert_eq!(taken, total);
            let mut count = mixed.take_before(start + cut);
            prop_assert!(mixed.peek().is_none_or(|due| due >= start + cut));
            while mixed.take().is_some() { count += 1; }
            prop_assert_eq!(count, total);
        }
    }
}
