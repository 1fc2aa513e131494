//! Compares thousands of fates with their parameters. Bounds are five standard errors; seeds are fixed.

use proptest::prelude::*;

use super::*;
use crate::impair::{Chance, Distribution, Loss, Reorder};

const PACKETS: u32 = 20_000;
const MS: f64 = 1e6;

fn chance(share: f64) -> Chance {
    Chance { share, correlation: 0.0 }
}

/// Returns the delays of packets that arrive a millisecond apart, in milliseconds.
fn delays(impair: &Impair, seed: u64) -> Vec<f64> {
    let mut model = Model::new(impair, seed);
    (0..u64::from(PACKETS))
        .map(|number| {
            let now = number * 1_000_000;
            let due = model.fate(now, 100).first.unwrap();
            f64::from(u32::try_from(due - now).unwrap()) / MS
        })
        .collect()
}

fn mean_and_sigma(values: &[f64]) -> (f64, f64) {
    let count = f64::from(u32::try_from(values.len()).unwrap());
    let mean = values.iter().sum::<f64>() / count;
    (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt())
}

/// Returns a quantile.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a position in the list")]
    let position = (share * f64::from(PACKETS)) as usize;
    sorted[position]
}

fn scattered_delays(distribution: Distribution) -> Vec<f64> {
    let (delay, jitter) = (Duration::from_millis(500), Duration::from_millis(100));
    delays(&Impair { delay, jitter, distribution, ..Impair::default() }, 77)
}

#[test]
fn a_constant_delay_is_constant() {
    let impair = Impair { delay: Duration::from_millis(7), ..Impair::default() };
    assert!(delays(&impair, 1).iter().all(|delay| (delay - 7.0).abs() < 1e-9));
}

#[test]
fn uniform_delays_fill_their_range() {
    let seen = scattered_delays(Distribution::Uniform);
    let (mean, sigma) = mean_and_sigma(&seen);
    let wanted = 200.0 / 12.0_f64.sqrt();
    assert!((mean - 500.0).abs() < 5.0 * wanted / f64::from(PACKETS).sqrt(), "{mean}");
    assert!((sigma - wanted).abs() < 1.0, "{sigma}");
    for (share, wanted) in [(0.0, 400.0), (0.1, 420.0), (0.5, 500.0), (0.9, 580.0)] {
        // A quantile's standard error here is below 100/√n · 2.
        assert!((quantile(&seen, share) - wanted).abs() < 4.0, "{share}: {}", quantile(&seen, share));
    }
    assert!(seen.iter().all(|delay| (400.0..600.0).contains(delay)));
}

#[test]
fn normal_delays_have_their_mean_sigma_and_quantiles() {
    let seen = scattered_delays(Distribution::Normal);
    let (mean, sigma) = mean_and_sigma(&seen);
    assert!((mean - 500.0).abs() < 5.0 * 100.0 / f64::from(PACKETS).sqrt(), "{mean}");
    assert!((sigma - 100.0).abs() < 5.0 * 100.0 / f64::from(2 * PACKETS).sqrt(), "{sigma}");
    // Standard errors of these quantiles: √(p(1-p)/n)/density, at most 1.9 at the outer ones.
    for (share, wanted) in [(0.025, 304.0), (0.159, 400.0), (0.5, 500.0), (0.841, 600.0), (0.975, 696.0)] {
        assert!((quantile(&seen, share) - wanted).abs() < 10.0, "{share}: {}", quantile(&seen, share));
    }
}

#[test]
fn pareto_delays_are_heavy_on_one_side() {
    let seen = scattered_delays(Distribution::Pareto);
    let (mean, _) = mean_and_sigma(&seen);
    // The table is cut at four sigmas, so its mean is a little below.
    assert!((mean - 497.5).abs() < 6.0, "{mean}");
    for share in [0.1, 0.5, 0.9, 0.99] {
        let wanted = 500.0 + 100.0 * ((1.0_f64 - share).powf(-1.0 / 3.0) - 1.5) * 4.0 / 3.0;
        // The density at 0.99 is 0.0048 per millisecond in these units; five standard errors.
        let density = 3.0 * (1.0_f64 - share).powf(4.0 / 3.0) / (100.0 * 4.0 / 3.0);
        let margin = 5.0 * (share * (1.0 - share) / f64::from(PACKETS)).sqrt() / density + 1.0;
        let seen = quantile(&seen, share);
        assert!((seen - wanted).abs() < margin, "{share}: {seen}, {wanted} ± {margin}");
    }
}

#[test]
fn pareto_normal_delays_are_the_mixture() {
    let seen = scattered_delays(Distribution::ParetoNormal);
    for (share, normal) in [(0.1, -1.281_55), (0.5, 0.0), (0.9, 1.281_55)] {
        let pareto = ((1.0_f64 - share).powf(-1.0 / 3.0) - 1.5) * 4.0 / 3.0;
        let wanted = 500.0 + 100.0 * (normal + 3.0 * pareto) / 4.0;
        assert!((quantile(&seen, share) - wanted).abs() < 8.0, "{share}: {}", quantile(&seen, share));
    }
}

#[test]
fn delays_depend_on_the_one_before() {
    for distribution in [Distribution::Uniform, Distribution::Normal] {
        let (delay, jitter) = (Duration::from_millis(500), Duration::from_millis(100));
        let impair = Impair { delay, jitter, delay_correlation: 0.6, distribution, ..Impair::default() };
        let seen = delays(&impair, 3);
        let (mean, sigma) = mean_and_sigma(&seen);
        let both: f64 = seen.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
        let correlation = both / (sigma * sigma * f64::from(PACKETS));
        assert!(
            (correlation - 0.6).abs() < 5.0 / f64::from(PACKETS).sqrt(),
            "{distribution:?}: {correlation}"
        );
    }
}

#[test]
fn a_delay_is_never_negative() {
    let (delay, jitter) = (Duration::from_millis(1), Duration::from_millis(100));
    let impair = Impair { delay, jitter, distribution: Distribution::Normal, ..Impair::default() };
    let seen = delays(&impair, 4);
    let none = seen.iter().filter(|delay| **delay == 0.0).count();
    assert!((9_000..11_000).contains(&none), "half of the draws are negative, and become 0: {none}");
}

/// Returns the share of the fates with a property.
fn share(impair: &Impair, has: impl Fn(&Fate) -> bool) -> f64 {
    let mut model = Model::new(impair, 5);
    let count = (0..u64::from(PACKETS)).filter(|&number| has(&model.fate(number, 100))).count();
    f64::from(u32::try_from(count).unwrap()) / f64::from(PACKETS)
}

fn assert_near(seen: f64, wanted: f64) {
    let margin = 5.0 * (wanted * (1.0 - wanted) / f64::from(PACKETS)).sqrt();
    assert!((seen - wanted).abs() <= margin, "{seen}, {wanted} ± {margin}");
}

#[test]
fn each_kind_of_change_happens_with_its_share_and_independently() {
    let impair = Impair {
        loss: Loss::Random(chance(0.1)),
        duplicate: chance(0.2),
        corrupt: chance(0.3),
        ..Impair::default()
    };
    assert_near(share(&impair, |fate| fate.lost), 0.1);
    assert_near(share(&impair, |fate| fate.duplicated), 0.2);
    assert_near(share(&impair, |fate| fate.second.is_some()), 0.2 * 0.9);
    assert_near(share(&impair, |fate| fate.first.is_none()), 0.1 * 0.8);
    assert_near(share(&impair, |fate| fate.corrupt), 0.3 * (1.0 - 0.1 * 0.8));
}

#[test]
fn some_overtake_and_at_most_one_in_a_gap() {
    let delay = Duration::from_millis(10);
    let reorder = |share, gap| Reorder { chance: chance(share), gap };
    for gap in [0, 1] {
        let impair = Impair { delay, reorder: reorder(0.25, gap), ..Impair::default() };
        assert_near(share(&impair, |fate| fate.reordered), 0.25);
        let mut model = Model::new(&impair, 9);
        assert!((0..1_000).map(|_| model.fate(5, 9)).all(|fate| fate.reordered == (fate.first == Some(5))));
    }
    let every_fifth = Impair { delay, reorder: reorder(1.0, 5), ..Impair::default() };
    let mut model = Model::new(&every_fifth, 9);
    let early: Vec<_> = (0..20_u64).filter(|&number| model.fate(number, 9).reordered).collect();
    assert_eq!(early, [4, 9, 14, 19]);
    assert!(share(&Impair { delay, ..Impair::default() }, |fate| fate.reordered) == 0.0);
}

#[test]
fn a_rate_limits_packets_that_come_at_once_and_after_a_pause() {
    let rate = Some(Rate { bits: 8_000_000, burst: 0 });
    let mut model = Model::new(&Impair { rate, ..Impair::default() }, 1);
    // 1,000 bytes take a millisecond; all arrive at once.
    let due: Vec<_> = (0..1_000).map(|_| model.fate(0, 1_000).first.unwrap()).collect();
    assert_eq!(due, (1..=1_000).map(|number| number * 1_000_000).collect::<Vec<_>>());
    // After a pause the link is free, and no faster.
    assert_eq!(model.fate(5_000_000_000, 500).first, Some(5_000_500_000));
}

#[test]
fn a_burst_goes_at_once_after_a_pause() {
    let rate = Some(Rate { bits: 8_000_000, burst: 3_000 });
    let mut model = Model::new(&Impair { rate, ..Impair::default() }, 1);
    for start in [1_000_000_000, 9_000_000_000] {
        let after: Vec<_> = (0..5).map(|_| model.fate(start, 1_000).first.unwrap() - start).collect();
        assert_eq!(after, [0, 0, 0, 1_000_000, 2_000_000]);
    }
}

proptest! {
    #[test]
    fn over_any_time_no_more_passes_than_the_rate_and_the_burst(
        bits in 1_000_u64..10_000_000_000,
        burst in 0_u32..200_000,
        packets in proptest::collection::vec((0_u64..50_000_000, 1_usize..65_536), 1..100),
    ) {
        let mut pacer = Pacer::new(Rate { bits, burst });
        let (mut now, mut gone) = (1_000_000_000_000, Vec::new());
        for (pause, bytes) in packets {
            now += pause;
            let passed = pacer.passed(now, bytes);
            prop_assert!(passed >= now, "not before it came");
            gone.push((passed, bytes));
        }
        prop_assert!(gone.is_sorted_by_key(|(passed, _)| *passed), "in order");
        for (first, (begun, _)) in gone.iter().enumerate() {
            // The first packet may have been under way when the time began, so it does not count.
            let bytes: usize = gone[first + 1..].iter().map(|(_, bytes)| bytes).sum();
            let ended = gone.last().unwrap().0;
            let allowed = u128::from(ended - begun) * u128::from(bits) / 8_000_000_000 + u128::from(burst);
            // Times are whole nanoseconds: a hundred roundings.
            let rounding = u128::from(bits) * 101 / 8_000_000_000 + 2;
            prop_assert!(bytes as u128 <= allowed + rounding, "{bytes} of {allowed}");
        }
    }

    #[test]
    fn fates_repeat_with_the_seed(seed: u64, jitter in 0_u64..10_000_000) {
        let impair = Impair {
            delay: Duration::from_millis(5),
            jitter: Duration::from_nanos(jitter),
            delay_correlation: 0.3,
            loss: Loss::Random(Chance { share: 0.2, correlation: 0.1 }),
            duplicate: chance(0.1),
            corrupt: chance(0.1),
            reorder: Reorder { chance: chance(0.1), gap: 2 },
            rate: Some(Rate { bits: 1_000_000, burst: 1_500 }),
            ..Impair::default()
        };
        let (mut a, mut b) = (Model::new(&impair, seed), Model::new(&impair, seed));
        for number in 0..50 {
            prop_assert_eq!(a.fate(number, 200), b.fate(number, 200));
            prop_assert_eq!(a.bit(180), b.bit(180));
        }
        prop_assert!(a.bit(20).0 < 20);
    }
}
