//! Exact binomial ranges of shares, on equal stretches of time.
//!
//! The quantity is the mean over the phase of the probability of a good request: the share of good requests of
//! callers who come evenly through this phase. Requests at random moments (a Poisson process) are independent samples
//! of it, whatever the shape of the failures: given their number, the count of good ones is exactly binomial. The
//! range says nothing about other phases: a system that fails in bursts may have none in the next.
//!
//! Strata: the time is divided into equal stretches of about twenty requests. Only the variance inside the stretches
//! is chance, so the range of an outage with sharp edges is narrow. The mean of the stretches, with the effective
//! number of requests by their variance, goes into the exact bounds; the effective number is never below the real
//! one. The bounds cover at least 95 % in simulations of independent failures, bursts, outages and ramps
//! (`coverage`).

use firedrill_statistics::exact;

/// Approximate number of requests per stretch.
const STRETCH: f64 = 20.0;
/// Minimum variance, as a part of that of independent requests.
const LEAST_EFFECT: f64 = 0.02;
/// Maximum variance, as a part of that of independent requests: stretches are weighted by time, and their numbers of
/// requests vary a little.
const MOST_EFFECT: f64 = 1.1;

/// The requests of a block of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    /// Number of requests that met the goal.
    pub good: f64,
    /// Number of all requests.
    pub all: f64,
    /// The length in microseconds.
    pub length_us: f64,
}

/// A share, and the range of the true one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The measured share.
    pub share: f64,
    /// The true share is below this with a probability of at most 2.5 %.
    pub low: f64,
    /// The true share is above this with a probability of at most 2.5 %.
    pub high: f64,
    /// The effective number of independent requests.
    pub effective: f64,
}

/// Estimates the share of good requests from consecutive blocks of time; `None` without any request.
#[must_use]
pub fn estimate(blocks: &[Block]) -> Option<Estimate> {
    let all: f64 = blocks.iter().map(|block| block.all).sum();
    if all <= 0.0 {
        return None;
    }
    let whole = (blocks.iter().map(|block| block.good).sum::<f64>() / all).clamp(0.0, 1.0);
    let mut share = 0.0;
    let mut variance = 1.0 / (all * all);
    for stretch in stretches(blocks, all) {
        // A stretch without requests adds no information.
        let good = if stretch.all > 0.0 { (stretch.good / stretch.all).clamp(0.0, 1.0) } else { whole };
        share += stretch.length_us * good;
        if stretch.all > 1.0 {
            variance += stretch.length_us * stretch.length_us * good * (1.0 - good) / (stretch.all - 1.0);
        }
    }
    // Exact if all or none were good: a sum of parts may have a rounding error.
    let share = if whole <= 0.0 || whole >= 1.0 { whole } else { share.clamp(0.0, 1.0) };
    let independent = share * (1.0 - share) / all;
    // The variance is an estimate with a relative standard deviation of about √(2 / N), so it is enlarged by that.
    let variance = variance * (1.0 + (2.0 / all).sqrt());
    let effect =
        if independent > 0.0 { (variance / independent).clamp(LEAST_EFFECT, MOST_EFFECT) } else { 1.0 };
    let effective = all / effect;
    let (low, high) = exact(share, effective);
    Some(Estimate { share, low, high, effective })
}

/// Divides the time into stretches of equal length, as far as whole blocks allow. Their lengths are parts of the
/// whole.
fn stretches(blocks: &[Block], all: f64) -> Vec<Block> {
    let total: f64 = blocks.iter().map(|block| block.length_us).sum();
    let total = if total > 0.0 { total } else { 1.0 };
    let count = (all / STRETCH).floor().clamp(1.0, blocks.len().max(1) as f64);
    let mut stretches: Vec<Block> = Vec::new();
    let (mut passed, mut last) = (0.0, f64::NEG_INFINITY);
    for block in blocks {
        // A block belongs to the stretch that contains its middle.
        let place = ((passed + block.length_us / 2.0) / total * count).floor();
        passed += block.length_us;
        let part = block.length_us / total;
        match stretches.last_mut() {
            Some(stretch) if place <= last => {
                stretch.good += block.good;
                stretch.all += block.all;
                stretch.length_us += part;
            }
            _ => stretches.push(Block { length_us: part, ..*block }),
        }
        last = last.max(place);
    }
    stretches
}

#[cfg(test)]
mod coverage;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(counts: &[(f64, f64)]) -> Vec<Block> {
        counts.iter().map(|(good, all)| Block { good: *good, all: *all, length_us: 1e6 }).collect()
    }

    #[test]
    fn four_hundred_good_ones_cannot_show_99_5_per_cent() {
        let sure = estimate(&seconds(&[(100.0, 100.0); 4])).expect("measured");
        assert!(sure.low < 0.995 && sure.low > 0.99, "{sure:?}");
        assert!(estimate(&seconds(&[(100.0, 100.0); 7])).expect("measured").low < 0.995);
        assert!(estimate(&seconds(&[(100.0, 100.0); 8])).expect("measured").low > 0.995);
    }

    #[test]
    fn the_range_of_an_outage_is_narrower_than_that_of_spread_out_failures() {
        let mut outage = vec![(10.0, 10.0); 60];
        outage[30..33].fill((0.0, 10.0));
        let spread: Vec<_> = (0..60).map(|s| if s % 2 == 0 { (9.0, 10.0) } else { (10.0, 10.0) }).collect();
        let (outage, spread) =
            (estimate(&seconds(&outage)).expect("o"), estimate(&seconds(&spread)).expect("s"));
        assert!((outage.share - spread.share).abs() < 1e-12);
        assert!(outage.low > spread.low && outage.high < spread.high, "{outage:?} {spread:?}");
        assert!(
            outage.effective >= 600.0 && spread.effective >= 600.0 / MOST_EFFECT,
            "hardly worth less than what was asked"
        );
    }

    #[test]
    fn stretches_are_weighted_by_time_and_not_by_requests() {
        // Twice as many requests were due in the bad second.
        let sure = estimate(&seconds(&[(30.0, 30.0), (0.0, 60.0)])).expect("measured");
        assert!((sure.share - 0.5).abs() < 1e-12, "{sure:?}");
    }

    #[test]
    fn a_short_piece_has_little_weight() {
        let mut blocks = seconds(&[(40.0, 40.0); 9]);
        blocks.push(Block { good: 0.0, all: 4.0, length_us: 1e5 });
        let sure = estimate(&blocks).expect("measured");
        assert!((sure.share - 9.0 / 9.1).abs() < 1e-9, "{sure:?}");
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_share(blocks in proptest::collection::vec((0_u32..50, 0_u32..50, 1_u32..2_000_000), 0..40)) {
            let blocks: Vec<_> = blocks
                .iter()
                .map(|(x, y, us)| Block { good: f64::from(*x), all: f64::from(x + y), length_us: f64::from(*us) })
                .collect();
            if let Some(e) = estimate(&blocks) {
                prop_assert!(0.0 <= e.low && e.low <= e.share + 1e-9 && e.share <= e.high + 1e-9 && e.high <= 1.0, "{e:?}");
            }
        }
    }
}
