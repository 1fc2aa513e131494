//! How sure a share is. Failures come in bursts, so a second full of requests is one observation more than many.
//!
//! The share of good requests is a ratio over blocks of one second, `p = Σx / Σn`, with the variance of a ratio over
//! clusters, `v = k/(k−1) · Σ(x − p·n)² / (Σn)²` (Cochran, *Sampling Techniques*, 3rd ed. 1977, §6.3). Compared with
//! what independent requests would have, `p(1−p)/N`, that is the design effect (Kish 1965), here never below 1. The
//! interval is Wilson's score interval (Wilson 1927) at the effective number of requests `N / design effect`, as
//! Korn and Graubard (1998) do for surveys. `Z` makes each end a one-sided 95 % bound, because each verdict is a
//! one-sided claim. Bursts that are longer than a block are still seen as several; a drill with one long burst has
//! therefore a somewhat wider truth than its interval.

/// Quantile of the normal distribution for a one-sided 95 %.
pub const Z: f64 = 1.644_854;

/// A share, and where the true one may lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// What was measured.
    pub share: f64,
    /// One-sided 95 % lower bound.
    pub low: f64,
    /// One-sided 95 % upper bound.
    pub high: f64,
    /// How many independent requests this is worth.
    pub effective: f64,
}

/// From blocks of (good, all); `None` without any request.
#[must_use]
pub fn estimate(blocks: &[(f64, f64)]) -> Option<Estimate> {
    let all: f64 = blocks.iter().map(|(_, n)| n).sum();
    if all <= 0.0 {
        return None;
    }
    let share = (blocks.iter().map(|(x, _)| x).sum::<f64>() / all).clamp(0.0, 1.0);
    let count = blocks.iter().filter(|(_, n)| *n > 0.0).count() as f64;
    let independent = share * (1.0 - share) / all;
    let mut effect = 1.0_f64;
    if independent > 0.0 && count > 1.0 {
        let spread: f64 = blocks.iter().map(|(x, n)| (x - share * n).powi(2)).sum();
        let variance = count / (count - 1.0) * spread / (all * all);
        effect = (variance / independent).max(1.0);
    }
    let effective = (all / effect).max(1.0_f64.min(all));
    let (low, high) = wilson(share, effective);
    Some(Estimate { share, low, high, effective })
}

fn wilson(share: f64, n: f64) -> (f64, f64) {
    let z2 = Z * Z;
    let middle = share + z2 / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    let whole = 1.0 + z2 / n;
    // Exact at the ends, where rounding would leave a crumb.
    let low = if share <= 0.0 { 0.0 } else { ((middle - half) / whole).max(0.0) };
    let high = if share >= 1.0 { 1.0 } else { ((middle + half) / whole).min(1.0) };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn four_hundred_good_ones_cannot_show_99_5_per_cent() {
        let sure = estimate(&[(100.0, 100.0); 4]).expect("measured");
        assert!(sure.low < 0.995 && sure.low > 0.99, "{sure:?}");
        assert!(estimate(&[(100.0, 100.0); 12]).expect("measured").low > 0.995);
    }

    #[test]
    fn a_burst_is_less_sure_than_the_same_failures_spread_out() {
        let mut burst = vec![(100.0, 100.0); 60];
        burst[30] = (40.0, 100.0);
        let spread = vec![(99.0, 100.0); 60];
        let (burst, spread) = (estimate(&burst).expect("b"), estimate(&spread).expect("s"));
        assert!((burst.share - spread.share).abs() < 1e-12);
        assert!(burst.low < spread.low && burst.high > spread.high);
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_share(blocks in proptest::collection::vec((0_u32..50, 0_u32..50), 0..40)) {
            let blocks: Vec<_> = blocks.iter().map(|(x, y)| (f64::from(*x), f64::from(x + y))).collect();
            if let Some(e) = estimate(&blocks) {
                prop_assert!(0.0 <= e.low && e.low <= e.share + 1e-9 && e.share <= e.high + 1e-9 && e.high <= 1.0, "{e:?}");
            }
        }
    }
}
