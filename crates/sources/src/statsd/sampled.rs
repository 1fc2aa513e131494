//! Bounds of the truth if a client sends only a share of its events (`@0.1`). A value that is made from the lines that were sent is
//! only an estimate.
//!
//! Each bound is wrong with a probability of at most [`DOUBT`], by the Chernoff bound of the binomial distribution.

use super::query::Reads;

/// The probability with which the truth may lie beyond a bound.
const DOUBT: f64 = 0.01;

/// The sample rates and the highest count that were seen of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampling {
    /// The lowest rate below 1.
    low: f64,
    /// The highest rate below 1.
    high: f64,
    /// The highest count of a line.
    most: f64,
}

/// The lines of one interval: those with a sample rate below 1, and the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Lines {
    /// Number of lines with a sample rate below 1.
    count: f64,
    /// The sum of their counts as they were sent, not multiplied by the inverse of the rate.
    sum: f64,
    /// The lowest of their counts; `None` if there is no such line.
    least: Option<f64>,
    /// The sum of the counts of all other lines.
    exact: f64,
}

impl Lines {
    /// Adds a line. `counts` is the value of a counter, and 1 for a timing.
    pub(super) fn add(&mut self, rate: f64, counts: f64) {
        if rate >= 1.0 {
            self.exact += counts;
            return;
        }
        self.count += 1.0;
        self.sum += counts;
        self.least = Some(self.least.map_or(counts, |least| least.min(counts)));
    }
}

impl Sampling {
    /// Adds a line with a rate below 1, and the highest count among its values.
    pub(super) fn with(seen: Option<Self>, rate: f64, counts: f64) -> Self {
        let Self { low, high, most } = seen.unwrap_or(Self { low: rate, high: rate, most: counts });
        Self { low: low.min(rate), high: high.max(rate), most: most.max(counts) }
    }

    /// Returns the bounds of a value whose interval had these lines. `seconds` is the interval's length; `ranks` returns the value
    /// at a share of the timings that were sent.
    pub(super) fn bounds(
        &self,
        reads: Reads,
        value: f64,
        (lines, seconds): (&Lines, f64),
        ranks: impl Fn(f64) -> Option<f64>,
    ) -> (f64, f64) {
        let unbounded = (f64::NEG_INFINITY, f64::INFINITY);
        match reads {
            Reads::Count | Reads::Rate => {
                let (least, most) = self.counted(lines);
                let length = if reads == Reads::Rate { seconds } else { 1.0 };
                (least / length, most / length)
            }
            Reads::Unique | Reads::Max => (value, f64::INFINITY),
            Reads::Min => (f64::NEG_INFINITY, value),
            Reads::Percentile(thousandths) => {
                let (low, high) = shares(lines.count, f64::from(thousandths) / 100_000.0);
                (low.and_then(&ranks).unwrap_or(unbounded.0), high.and_then(&ranks).unwrap_or(unbounded.1))
            }
            Reads::Mean | Reads::Last | Reads::Total => unbounded,
        }
    }

    /// Returns the bounds of the sum of all counts, of lines that were sent and of those that were not.
    fn counted(&self, lines: &Lines) -> (f64, f64) {
        let (least, _) = events(lines.count, self.high);
        let (_, most) = events(lines.count, self.low);
        let unsent = |events: f64, each: f64| (events - lines.count).max(0.0) * each.max(0.0);
        let sent = lines.exact + lines.sum;
        (sent + unsent(least, lines.least.unwrap_or(0.0)), sent + unsent(most, self.most))
    }
}

/// Returns the negative logarithm of the Chernoff bound of a binomial count. This bound limits the probability that the count is at least as far
/// from its mean as `count`, on the same side. `trials` is the number of events; each counts with the probability `rate`.
fn unlikely(count: f64, trials: f64, rate: f64) -> f64 {
    let part = |actual: f64, mean: f64| if actual > 0.0 { actual * (actual / mean).ln() } else { 0.0 };
    part(count, trials * rate) + part(trials - count, trials * (1.0 - rate))
}

/// Returns the lowest and the highest likely number of events, of which `sent` were sent at a sample rate.
fn events(sent: f64, rate: f64) -> (f64, f64) {
    let doubt = -DOUBT.ln();
    let mean = sent / rate;
    if !mean.is_finite() {
        return (sent, f64::INFINITY);
    }
    let likely = |events: f64| unlikely(sent, events, rate) <= doubt;
    let mut beyond = mean.max(1.0) * 2.0;
    while likely(beyond) && beyond.is_finite() {
        beyond *= 2.0;
    }
    (edge(mean, sent, likely), edge(mean, beyond, likely))
}

/// Returns the shares of the sent timings between which a share of all timings lies. Each is `None` if too few were sent for it.
fn shares(sent: f64, share: f64) -> (Option<f64>, Option<f64>) {
    let doubt = -DOUBT.ln();
    let likely = |part: f64| unlikely(part * sent, sent, share) <= doubt;
    let low = (!likely(0.0)).then(|| edge(share, 0.0, likely));
    let high = (!likely(1.0)).then(|| edge(share, 1.0, likely));
    (low, high)
}

/// Finds by bisection the place between `inside` and `outside` beyond which `likely` does not hold. It holds at `inside`. Returns the outer end of
/// the last step, so that a bound is too wide rather than too narrow.
fn edge(inside: f64, outside: f64, likely: impl Fn(f64) -> bool) -> f64 {
    let (mut inside, mut outside) = (inside, outside);
    if likely(outside) {
        return outside;
    }
    for _ in 0..60 {
        let middle = f64::midpoint(inside, outside);
        if likely(middle) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    outside
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bounds_of_a_count_include_events_that_were_not_sent() {
        let (least, most) = events(0.0, 0.1);
        assert!(least == 0.0 && (40.0..50.0).contains(&most), "0.9 to the power of 44 is 1 %: {most}");
        let (least, most) = events(100.0, 0.1);
        assert!((650.0..850.0).contains(&least) && (1_200.0..1_450.0).contains(&most), "{least} {most}");
        let (least, most) = events(100_000.0, 0.1);
        assert!(least > 985_000.0 && most < 1_015_000.0, "{least} {most}");
    }

    #[test]
    fn a_percentile_needs_enough_timings() {
        assert_eq!(shares(0.0, 0.99), (None, None));
        let (low, high) = shares(100.0, 0.99);
        assert!(low.is_some_and(|low| (0.93..0.97).contains(&low)) && high.is_none(), "{low:?} {high:?}");
        let (low, high) = shares(10_000.0, 0.99);
        assert!(
            low.is_some_and(|low| low > 0.985) && high.is_some_and(|high| high < 0.995),
            "{low:?} {high:?}"
        );
    }

    proptest! {
        /// Compares with the exact tails of the binomial distribution.
        #[test]
        fn the_truth_lies_beyond_a_bound_with_at_most_the_allowed_probability(events_count in 1_u32..200, rate in 0.02_f64..0.9) {
            let n = f64::from(events_count);
            let mut chance = (n * (1.0 - rate).ln()).exp();
            let (mut below, mut above) = (0.0, 0.0);
            for sent in 0..=events_count {
                let k = f64::from(sent);
                let (least, most) = events(k, rate);
                if most < n {
                    below += chance;
                }
                if least > n {
                    above += chance;
                }
                chance *= (n - k) / (k + 1.0) * rate / (1.0 - rate);
            }
            prop_assert!(below <= DOUBT && above <= DOUBT, "{below} {above}");
        }
    }
}
