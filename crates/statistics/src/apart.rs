//! Whether two counts of bad requests differ by more than chance: Fisher's exact test.

use super::beta::ln_gamma;

/// Returns the probability that two samples of one system differ by at least as much as these: twice the smaller tail
/// of the hypergeometric distribution, at most 1. Each sample is (bad, all). Returns 1 if one of them is empty.
#[must_use]
pub fn apart(one: (u64, u64), other: (u64, u64)) -> f64 {
    let ((bad, all), (other_bad, other_all)) = (one, other);
    let (bad, other_bad) = (bad.min(all), other_bad.min(other_all));
    let (total, total_bad) = (all + other_all, bad + other_bad);
    // Range of the number of bad requests in the first sample, given the sums.
    let (least, most) = (total_bad.saturating_sub(other_all), total_bad.min(all));
    if all == 0 || other_all == 0 || least == most {
        return 1.0;
    }
    let chance = |k: u64| {
        (ln_choose(total_bad, k) + ln_choose(total - total_bad, all - k) - ln_choose(total, all)).exp()
    };
    // Beyond the count, on the side away from the mean, the terms fall.
    let mean = total_bad as f64 * all as f64 / total as f64;
    let tail = if (bad as f64) < mean { sum((least..=bad).rev(), chance) } else { sum(bad..=most, chance) };
    (2.0 * tail).min(1.0)
}

/// Returns the sum of terms that fall. It stops when they are too small to matter.
fn sum(counts: impl Iterator<Item = u64>, chance: impl Fn(u64) -> f64) -> f64 {
    let mut sum = 0.0;
    for count in counts {
        let term = chance(count);
        sum += term;
        if term <= sum * 1e-12 {
            break;
        }
    }
    sum
}

/// Returns the natural logarithm of the binomial coefficient `n` over `k`.
fn ln_choose(n: u64, k: u64) -> f64 {
    let ln_factorial = |n: u64| ln_gamma(n as f64 + 1.0);
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;
    use proptest::prelude::*;

    #[test]
    fn known_tables() {
        // Fisher's tea: 4 of 4 against 0 of 4 comes about in 1 of 70 by chance, at each side.
        assert!((apart((4, 4), (0, 4)) - 2.0 / 70.0).abs() < 1e-12);
        assert!((apart((3, 4), (1, 4)) - 2.0 * 17.0 / 70.0).abs() < 1e-12);
        assert!(apart((90, 100), (7, 100)) < 1e-30, "one vantage saw 90 %, the other 7 %");
        assert!(apart((60, 600), (58, 610)) > 0.5);
        assert!((apart((0, 100), (0, 90)) - 1.0).abs() < 1e-12);
        assert!((apart((5, 5), (0, 0)) - 1.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn it_is_a_chance_and_the_order_does_not_matter(a in 0_u64..300, b in 0_u64..300, c in 0_u64..300, d in 0_u64..300) {
            let (one, other) = ((a, a + b), (c, c + d));
            let chance = apart(one, other);
            prop_assert!((0.0..=1.0).contains(&chance));
            prop_assert!((chance - apart(other, one)).abs() < 1e-6);
        }
    }

    #[test]
    fn it_is_seldom_wrong_about_one_system() {
        let mut chance = Chance::new(3, 1);
        let mut count = |all: u64| (0..all).filter(|_| chance.draw() < 0.05).count() as u64;
        let alarms = (0..4000).filter(|_| apart((count(600), 600), (count(580), 580)) < 0.01).count();
        assert!(alarms <= 60, "{alarms} of 4000, where 40 are allowed on the mean");
    }
}
