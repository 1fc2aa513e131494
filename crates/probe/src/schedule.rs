//! The moments at which requests are due: at a rate from a start, whatever happened to the requests before.
//!
//! Pure arithmetic; never reads a clock, and never skips a request without saying how many it skipped. By default the
//! gaps are exponential (a Poisson process): only moments without memory never keep in step with a system that has
//! a period or takes turns.

use std::time::Duration;

use firedrill_wire::probe::Arrivals;

/// The most requests a second that one probe may make.
pub const MOST_RATE: f64 = 20_000.0;

/// Picoseconds in a microsecond: times are kept so finely that the rate does not drift in a long run.
const PS_PER_US: u128 = 1_000_000;

/// The open-loop schedule of one probe. All times are in microseconds on one clock.
#[derive(Clone, Debug)]
pub struct Schedule {
    start_us: u64,
    end_us: u64,
    gaps: Gaps,
    /// The number of the next request, and when it is due, in picoseconds after the start.
    next: u64,
    after_ps: u128,
}

#[derive(Clone, Copy, Debug)]
enum Gaps {
    Even { period_ps: u128 },
    Poisson { mean_ps: f64, key: u64 },
}

impl Gaps {
    /// Returns the gaps; `None` for a rate that is not above 0, or is above [`MOST_RATE`].
    fn new(rate: f64, arrivals: Arrivals, key: u64) -> Option<Self> {
        let period_ps = period_ps(rate)?;
        Some(match arrivals {
            Arrivals::Even => Self::Even { period_ps },
            Arrivals::Poisson => Self::Poisson { mean_ps: period_ps as f64, key },
        })
    }

    /// Returns the time at which the first request is due, in picoseconds after the start.
    fn first(self) -> u128 {
        match self {
            Self::Even { .. } => 0,
            Self::Poisson { .. } => self.after(0, 0),
        }
    }

    /// Returns the time at which request `k` is due. The request before it is due at `before_ps`.
    fn after(self, before_ps: u128, k: u64) -> u128 {
        before_ps.saturating_add(match self {
            Self::Even { period_ps } => period_ps,
            Self::Poisson { mean_ps, key } => exponential(mean_ps, key, k),
        })
    }
}

/// Returns an exponentially distributed gap: the logarithm of an evenly distributed number. The number comes from a generator that counts
/// (SplitMix64, Steele et al. 2014), so that each request's gap is known without those before.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a gap is above 0, and the cast saturates"
)]
fn exponential(mean_ps: f64, key: u64, k: u64) -> u128 {
    let mut bits = key.wrapping_add(k.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    // 53 bits give a number from 0 up to 1, but not 1 itself.
    let even = (bits >> 11) as f64 / (1_u64 << 53) as f64;
    (-mean_ps * (-even).ln_1p()) as u128
}

impl Schedule {
    /// Returns a schedule by which requests are due from `start_us` on and before `end_us`, at that rate on the mean. `key` decides the random
    /// gaps. `None` for a rate that is not above 0, or is above [`MOST_RATE`].
    #[must_use]
    pub fn new(start_us: u64, end_us: u64, rate: f64, arrivals: Arrivals, key: u64) -> Option<Self> {
        let gaps = Gaps::new(rate, arrivals, key)?;
        Some(Self { start_us, end_us, gaps, next: 0, after_ps: gaps.first() })
    }

    /// Returns the time at which it begins.
    #[must_use]
    pub const fn start_us(&self) -> u64 {
        self.start_us
    }

    /// Returns the time at which the next request is due; `None` when the schedule has ended.
    #[must_use]
    pub fn peek(&self) -> Option<u64> {
        let after = u64::try_from(self.after_ps / PS_PER_US).unwrap_or(u64::MAX);
        let due = self.start_us.saturating_add(after);
        (due < self.end_us).then_some(due)
    }

    /// Hands out all requests that are due before `at_us`. Returns their number.
    pub fn take_before(&mut self, at_us: u64) -> u64 {
        let mut taken = 0;
        while self.peek().is_some_and(|due| due < at_us) {
            self.take();
            taken += 1;
        }
        taken
    }

    /// Hands out the next request. Returns the time at which it is due.
    pub fn take(&mut self) -> Option<u64> {
        let due = self.peek()?;
        self.next += 1;
        self.after_ps = self.gaps.after(self.after_ps, self.next);
        Some(due)
    }

    /// Returns the number of the next request, counted from 0.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.next
    }

    /// Ends the schedule at that moment, if it does not end before.
    pub fn end_at(&mut self, end_us: u64) {
        self.end_us = self.end_us.min(end_us);
    }

    /// Returns the time at which it ends.
    #[must_use]
    pub const fn end_us(&self) -> u64 {
        self.end_us
    }
}

/// Returns the mean time between two requests in picoseconds; `None` for a rate that is not above 0, or is above [`MOST_RATE`].
fn period_ps(rate: f64) -> Option<u128> {
    if !(rate > 0.0 && rate <= MOST_RATE) {
        return None;
    }
    Some(Duration::try_from_secs_f64(1000.0 / rate).ok()?.as_nanos())
}

/// Returns the number of requests that are due within a time at a rate, rounded up; `None` for an impossible rate.
#[must_use]
pub fn requests_within(rate: f64, span: Duration) -> Option<u64> {
    u64::try_from((span.as_nanos() * 1000).div_ceil(period_ps(rate)?)).ok()
}

/// The most that a request may start late and still be counted, in microseconds. Beyond that its moment is not the one that
/// the schedule chose.
const MOST_LATE_US: u64 = 50_000;

/// The part of the time-out that a request may start late.
const LATE_PART: u64 = 20;

/// Returns the maximum delay of a request that is still counted: a twentieth of the time-out, at least 5 ms and at most 50 ms.
#[must_use]
pub fn slip_limit_us(timeout_us: u64) -> u64 {
    (timeout_us / LATE_PART).clamp(crate::stall::FLOOR_US, MOST_LATE_US)
}

/// Returns the moments at which `count` requests are due, from request `first` on. That one is due at `first_us`. The moments are in microseconds on
/// the same clock, each at most a microsecond early. `None` for an impossible rate.
#[must_use]
pub fn follow(
    rate: f64,
    arrivals: Arrivals,
    key: u64,
    first: u64,
    first_us: u64,
    count: usize,
) -> Option<Vec<u64>> {
    let gaps = Gaps::new(rate, arrivals, key)?;
    let mut at_ps = u128::from(first_us) * PS_PER_US;
    let mut number = first;
    let mut dues = Vec::with_capacity(count);
    for _ in 0..count {
        dues.push(u64::try_from(at_ps / PS_PER_US).unwrap_or(u64::MAX));
        number = number.saturating_add(1);
        at_ps = gaps.after(at_ps, number);
    }
    Some(dues)
}

/// Returns the maximum number of requests in flight: those of a whole time-out, and as many more as random moments can bunch
/// together. `None` for an impossible rate.
#[must_use]
pub fn most_at_once(rate: f64, timeout: Duration, arrivals: Arrivals) -> Option<u64> {
    let within = requests_within(rate, timeout)?;
    let bunched = match arrivals {
        Arrivals::Even => 0.0,
        // Beyond five standard deviations of the count within a time-out, and within a tenth of a second.
        Arrivals::Poisson => 5.0 * (within as f64).sqrt() + rate / 10.0 + 5.0 * (rate / 10.0).sqrt(),
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, which is meant"
    )]
    let bunched = bunched.ceil() as u64;
    Some(within.saturating_add(bunched))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(mut schedule: Schedule) -> Vec<u64> {
        std::iter::from_fn(|| schedule.take()).collect()
    }

    #[test]
    fn the_rate_does_not_drift() {
        let day = Schedule::new(7, 7 + 86_400_000_000, 3.0, Arrivals::Even, 0).unwrap();
        let dues = all(day);
        // A third of a second is no whole number of picoseconds: after a day the last one may just come before the end.
        assert!(dues.len().abs_diff(3 * 86_400) <= 1);
        assert!(dues[3 * 86_400 - 1].abs_diff(7 + 86_400_000_000 - 333_333) <= 1);
        let odd = all(Schedule::new(0, 3_600_000_000, 1_999.0, Arrivals::Even, 0).unwrap());
        assert!(odd.len().abs_diff(1_999 * 3600) <= 1);
    }

    #[test]
    fn random_gaps_are_exponential() {
        let rate = 200.0;
        let dues = all(Schedule::new(0, 1_000_000_000, rate, Arrivals::Poisson, 42).unwrap());
        let count = dues.len() as f64;
        assert!((count - 200_000.0).abs() < 5.0 * 200_000.0_f64.sqrt(), "{count}");
        let gaps: Vec<f64> = dues.windows(2).map(|two| (two[1] - two[0]) as f64 * rate / 1e6).collect();
        // Of exponential gaps, exp(-x) are longer than x times the mean.
        for longer in [0.1_f64, 0.5, 1.0, 2.0, 4.0] {
            let share = gaps.iter().filter(|gap| **gap > longer).count() as f64 / count;
            assert!((share - (-longer).exp()).abs() < 0.006, "{longer}: {share}");
        }
        // And one gap says nothing about the next.
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let together = gaps.windows(2).map(|two| (two[0] - mean) * (two[1] - mean)).sum::<f64>() / count;
        assert!(together.abs() < 0.02, "{together}");
    }

    #[test]
    fn moments_follow_from_the_key_alone() {
        let of = |key| all(Schedule::new(5, 10_000_005, 50.0, Arrivals::Poisson, key).unwrap());
        assert_eq!(of(1), of(1));
        assert!(of(1).iter().filter(|due| of(2).contains(due)).count() < 3);
    }

    #[test]
    fn rates_that_cannot_be_are_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 20_001.0, 1e-300] {
            assert!(Schedule::new(0, 1, rate, Arrivals::Poisson, 0).is_none(), "{rate}");
        }
    }

    #[test]
    fn requests_within_a_time_are_rounded_up() {
        assert_eq!(requests_within(100.0, Duration::from_millis(500)), Some(50));
        assert_eq!(requests_within(3.0, Duration::from_millis(500)), Some(2));
        assert_eq!(requests_within(0.0, Duration::from_millis(500)), None);
    }

    #[test]
    fn as_many_may_be_under_way_as_bunch_together() {
        for (rate, seconds) in [(10.0, 1), (50.0, 1), (200.0, 2)] {
            let timeout = Duration::from_secs(seconds);
            let most = most_at_once(rate, timeout, Arrivals::Poisson).unwrap();
            let dues = all(Schedule::new(0, 600_000_000, rate, Arrivals::Poisson, 7).unwrap());
            let span = u64::try_from(timeout.as_micros()).unwrap();
            let worst = dues
                .iter()
                .enumerate()
                .map(|(k, due)| dues[k..].partition_point(|other| *other < due + span))
                .max();
            assert!(worst.unwrap() as u64 <= most, "{rate}: {worst:?} of {most}");
        }
    }

    proptest! {
        #[test]
        fn counting_and_taking_agree(start in 0_u64..1 << 40, rate in 0.01_f64..2_000.0, span in 1_u64..3_000_000, cut in 0_u64..3_000_000, key: u64, even: bool) {
            let end = start + span;
            let arrivals = if even { Arrivals::Even } else { Arrivals::Poisson };
            let one_by_one = all(Schedule::new(start, end, rate, arrivals, key).unwrap());
            let mut mixed = Schedule::new(start, end, rate, arrivals, key).unwrap();
            prop_assert!(one_by_one.is_sorted() && one_by_one.iter().all(|due| (start..end).contains(due)));
            let mut count = mixed.take_before(start + cut);
            prop_assert!(mixed.peek().is_none_or(|due| due >= start + cut));
            while mixed.take().is_some() { count += 1; }
            prop_assert_eq!(count, one_by_one.len() as u64);
        }
    }
}
