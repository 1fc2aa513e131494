//! Exact bounds for shares: the range of the probability of a good request, given a count of good ones.
//!
//! Pure arithmetic on counts, without phases, probes and verdicts. `check` and the score use the same functions, so
//! that they agree.

mod apart;
mod beta;
pub mod chance;
pub mod turning;
pub mod usual;

pub use apart::apart;

use beta::{inverse, regularised};

/// The error probability at each end of a range: a two-sided range contains the truth in at least 95 % of cases.
pub const TAIL: f64 = 0.025;

/// Maximum number of requests that are calculated with: more do not narrow a range. With far more, sums of logarithms would
/// be inexact, and the continued fraction would not end in time. A smaller count only makes a range wider.
const MOST: f64 = 1e9;

/// Returns the probability that at most `k` of `n` independent requests are good if each is good with probability
/// `p`.
#[must_use]
pub fn at_most(k: u64, n: u64, p: f64) -> f64 {
    if k >= n { 1.0 } else { regularised(1.0 - p, (n - k) as f64, k as f64 + 1.0) }
}

/// Returns the exact bounds of the probability of a good request, if `share` of `count` were good; `count` need not
/// be whole (Clopper and Pearson 1934). The error probability of each end is at most [`TAIL`]. More than a thousand million
/// requests give the bounds of a thousand million.
#[must_use]
pub fn exact(share: f64, count: f64) -> (f64, f64) {
    let count = count.min(MOST);
    let (good, bad) = (share * count, (1.0 - share) * count);
    // Exact at the ends, where rounding would leave a small error.
    let low = if share <= 0.0 { 0.0 } else { inverse(TAIL, good, bad + 1.0) };
    let high = if share >= 1.0 { 1.0 } else { inverse(1.0 - TAIL, good + 1.0, bad) };
    (low.min(share), high.max(share))
}

/// Returns the minimum number of requests that show a probability of at least `p` if all of them are good: `pⁿ ≤
/// 0.025`. Returns `u64::MAX` if no number can.
#[must_use]
pub fn all_good_show(p: f64) -> u64 {
    if p <= 0.0 {
        return 1;
    }
    if p.is_nan() || p >= 1.0 {
        return u64::MAX;
    }
    let needed = (TAIL.ln() / p.ln() - 1e-9).ceil().max(1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, which is wanted"
    )]
    let needed = needed as u64;
    needed
}

/// Returns the largest probability that `count` requests can show, if all of them are good.
#[must_use]
pub fn best_shown(count: u64) -> f64 {
    if count == 0 { 0.0 } else { (TAIL.ln() / count as f64).exp() }
}

/// Returns the ranks (from 1) of the order statistics of `n` values between which the quantile `q` lies with 95 %
/// confidence. The lower is 0 and the upper above `n` if there is no such value.
#[must_use]
pub fn quantile_ranks(n: u64, q: f64) -> (u64, u64) {
    // The largest r with P(at most r - 1 below) <= TAIL, and the smallest u with P(at most u - 1 below) >= 1 - TAIL.
    let low = last_false(n, |r| at_most_below(r, n, q) > TAIL);
    let high = last_false(n, |u| at_most_below(u, n, q) >= 1.0 - TAIL) + 1;
    (low, high)
}

/// Returns the probability that at most `r - 1` of `n` values are below the quantile `q`; 0 for `r` = 0.
fn at_most_below(r: u64, n: u64, q: f64) -> f64 {
    r.checked_sub(1).map_or(0.0, |k| at_most(k, n, q))
}

/// Returns the largest number from 0 to `n` for which `is_so` is false. `is_so` must be monotonic, and false for 0.
fn last_false(n: u64, is_so: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_so(middle + 1) { high = middle } else { low = middle + 1 }
    }
    low
}

/// Rounds a calculated count; the result saturates at 0 and `u64::MAX`.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is wanted"
)]
pub fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests;
