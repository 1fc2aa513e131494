//! Compares with sums that need no special function, and with tables.

use proptest::prelude::*;

use super::*;

/// Returns P(Bin(n, p) <= k), summed term by term.
fn summed(k: u64, n: u64, p: f64) -> f64 {
    let mut term = (1.0 - p).powi(i32::try_from(n).expect("small"));
    let mut sum = term;
    for i in 0..k {
        term *= (n - i) as f64 / (i + 1) as f64 * p / (1.0 - p);
        sum += term;
    }
    sum
}

#[test]
fn the_requests_needed_are_those_of_the_binomial() {
    let needed = [0.85, 0.9, 0.95, 0.99, 0.995, 0.999].map(all_good_show);
    assert_eq!(needed, [23, 36, 72, 368, 736, 3688]);
    assert_eq!((all_good_show(1.0), all_good_show(0.0)), (u64::MAX, 1));
    for n in [23, 368, 3688] {
        let best = best_shown(n);
        assert!(exact(1.0, n as f64).0 >= best - 1e-9 && all_good_show(best - 1e-9) <= n);
    }
}

#[test]
fn two_hundred_and_sixty_eight_good_ones_do_not_show_99_per_cent() {
    assert!(exact(1.0, 268.0).0 < 0.99);
    assert!(exact(1.0, 367.0).0 < 0.99 && exact(1.0, 368.0).0 >= 0.99);
}

#[test]
fn bounds_are_those_of_tables() {
    // Clopper and Pearson, 95 %: 0 of 10, 1 of 10, 5 of 10, 95 of 100.
    let close = |(low, high): (f64, f64), wanted: (f64, f64)| {
        assert!((low - wanted.0).abs() < 5e-5 && (high - wanted.1).abs() < 5e-5, "{low} {high}");
    };
    close(exact(0.0, 10.0), (0.0, 0.3085));
    close(exact(0.1, 10.0), (0.0025, 0.4450));
    close(exact(0.5, 10.0), (0.1871, 0.8129));
    close(exact(0.95, 100.0), (0.8872, 0.9836));
}

#[test]
fn requests_beyond_the_maximum_do_not_narrow_a_range() {
    let (low, high) = exact(0.5, u64::MAX as f64);
    assert_eq!((low, high), exact(0.5, 1e9));
    // The normal distribution is near enough here: 1.96 standard deviations.
    let half = 1.959_964 * (0.25_f64 / 1e9).sqrt();
    assert!((low - (0.5 - half)).abs() < 1e-8 && (high - (0.5 + half)).abs() < 1e-8, "{low} {high}");
    assert_eq!((at_most(10, 1_000_000_000, 0.5), at_most(999_999_990, 1_000_000_000, 0.5)), (0.0, 1.0));
}

#[test]
fn a_quantile_lies_between_its_ranks() {
    // The median of 10 lies between the 2nd and the 9th in 97.9 %; p99 of 100 has no upper value.
    assert_eq!(quantile_ranks(10, 0.5), (2, 9));
    let (low, high) = quantile_ranks(100, 0.99);
    assert!((95..=97).contains(&low) && high == 101, "{low} {high}");
    assert_eq!(quantile_ranks(0, 0.5).0, 0);
}

proptest! {
    #[test]
    fn at_most_is_the_sum(n in 1_u64..100, k in 0_u64..100, p in 0.01_f64..0.99) {
        let k = k.min(n);
        let (found, sum) = (at_most(k, n, p), if k == n { 1.0 } else { summed(k, n, p) });
        prop_assert!((found - sum).abs() < 1e-9, "{found} {sum}");
    }

    #[test]
    fn bounds_hold_the_share_and_narrow_with_the_count(share in 0.0_f64..=1.0, count in 1.0_f64..1e6) {
        let (low, high) = exact(share, count);
        prop_assert!(0.0 <= low && low <= share && share <= high && high <= 1.0);
        let (low2, high2) = exact(share, count * 4.0);
        prop_assert!(low2 >= low - 1e-9 && high2 <= high + 1e-9);
    }

    #[test]
    fn ranks_leave_no_more_than_the_tail_outside(n in 1_u64..2000, q in 0.01_f64..0.999) {
        let (low, high) = quantile_ranks(n, q);
        prop_assert!(low == 0 || at_most(low - 1, n, q) <= TAIL + 1e-12);
        prop_assert!(at_most(low, n, q) > TAIL - 1e-12, "a higher lower rank would leave out too much");
        prop_assert!(high > n || at_most(high - 1, n, q) >= 1.0 - TAIL - 1e-12);
    }
}
