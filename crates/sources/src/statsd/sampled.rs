//! Bounds of the truth where a client sends only a share of its events (`@0.1`). The lines that were not sent may decide, so a value
//! that is made from the others is an estimate.
//!
//! Each bound is wrong with a probability of at most [`DOUBT`], by the Chernoff bound of the binomial distribution.

use super::query::Reads;

/// The probability with which the truth may lie beyond a bound.
const DOUBT: f64 = 0.01;

/// The sample rates and the highest value that were seen of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampling {
    /// The lowest and the highest rate below 1.
    low: f64,
    high: f64,
    /// The highest value of a line.
    most: f64,
}

/// The lines of one interval that were sent with a sample rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Lines {
    /// Their number, and the sum of their counts, without the sample rate.
    count: f64,
    sum: f64,
    /// The lowest count of a line.
    least: Option<f64>,
    /// The sum of what all other lines count.
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
    /// Adds a line with a rate below 1, and the most that a value of it counts.
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
        let any = (f64::NEG_INFINITY, f64::INFINITY);
        match reads {
            Reads::Count | Reads::Rate => {
                let (least, most) = self.counted(lines);
                let length = if reads == Reads::Rate { seconds } else { 1.0 };
                (least / length, most / length)
            }
            Reads::Unique | Reads::Max => (value, f64::INFINITY),
            Reads::Min => (f64::NEG_INFINITY, value),
            Reads::Percentile(all) => {
                let (low, high) = shares(lines.count, f64::from(all) / 100_000.0);
                (low.and_then(&ranks).unwrap_or(any.0), high.and_then(&ranks).unwrap_or(any.1))
            }
            Reads::Mean | Reads::Last | Reads::Total => any,
        }
    }

    fn counted(&self, lines: &Lines) -> (f64, f64) {
        let (least, _) = events(lines.count, self.high);
        let (_, most) = events(lines.count, self.low);
        let unsent = |events: f64, each: f64| (events - lines.count).max(0.0) * each.max(0.0);
        let sent = lines.exact + lines.sum;
        (sent + unsent(least, lines.least.unwrap_or(0.0)), sent + unsent(most, self.most))
    }
}

/// Returns the logarithm of the bound on how likely a binomial count is as far from its mean as this one.
fn unlikely(count: f64, of: f64, rate: f64) -> f64 {
    let part = |is: f64, wanted: f64| if is > 0.0 { is * (is / wanted).ln() } else { 0.0 };
    part(count, of * rate) + part(of - count, of * (1.0 - rate))
}

/// Returns the lowest and the highest likely number of events, of which `sent` were sent.
fn events(sent: f64, rate: f64) -> (f64, f64) {
    let doubt = -DOUBT.ln();
    let mean = sent / rate;
    if !mean.is_finite() {
        return (sent, f64::INFINITY);
    }
    let likely = |all: f64| unlikely(sent, all, rate) <= doubt;
    let mut beyond = mean.max(1.0) * 2.0;
    while likely(beyond) && beyond.is_finite() {
        beyond *= 2.0;
    }
    (edge(mean, sent, likely), edge(mean, beyond, likely))
}

/// Returns the shares of sent timings between which a share of all timings lies. There is none where too few were sent.
fn shares(sent: f64, share: f64) -> (Option<f64>, Option<f64>) {
    let doubt = -DOUBT.ln();
    let likely = |part: f64| unlikely(part * sent, sent, share) <= doubt;
    let low = (!likely(0.0)).then(|| edge(share, 0.0, likely));
    let high = (!likely(1.0)).then(|| edge(share, 1.0, likely));
    (low, high)
}

/// Finds by bisection where `likely` ends between `inside`, where it holds, and `outside`. Returns the outer end, so that a bound is
/// too wide rather than too narrow.
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
    fn what_was_not_sent_widens_a_count() {
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
        /// The exact tails of the binomial distribution are below what is allowed.
        #[test]
        fn a_bound_is_hardly_ever_wrong(all in 1_u32..200, rate in 0.02_f64..0.9) {
            let n = f64::from(all);
            let mut chance = (n * (1.0 - rate).ln()).exp();
            let (mut below, mut above) = (0.0, 0.0);
            for sent in 0..=all {
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
