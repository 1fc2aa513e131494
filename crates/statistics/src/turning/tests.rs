//! The moment, its range, and the coverage of the range, for simulated systems with a known moment.

use firedrill_probe::schedule::Schedule;
use firedrill_wire::probe::Arrivals;
use proptest::prelude::*;

use super::*;
use crate::chance::Chance;

mod each;

/// One request: its due time in microseconds, and whether it was good.
type Request = (i64, bool);

/// Requests one by one, in runs.
struct Listed {
    all: Vec<Request>,
    runs: Vec<(bool, u64)>,
    begins: Vec<u64>,
}

/// Puts requests into runs of at most `most` requests.
fn listed(all: Vec<Request>, most: u64) -> Listed {
    let mut runs: Vec<(bool, u64)> = Vec::new();
    for (_, good) in &all {
        match runs.last_mut() {
            Some((last, count)) if last == good && *count < most => *count += 1,
            _ => runs.push((*good, 1)),
        }
    }
    let begins = begins(&runs);
    Listed { all, runs, begins }
}

impl Seen for Listed {
    fn runs(&self) -> &[(bool, u64)] {
        &self.runs
    }

    fn due(&self, run: usize, number: u64) -> i64 {
        self.all[usize::try_from(self.begins[run] + number).unwrap()].0
    }
}

fn turning(all: &[Request], from: i64, threshold: f64) -> Turning {
    super::turning(&listed(all.to_vec(), u64::MAX), from, threshold)
}

fn longest_outage(all: &[Request], from: i64, until: i64, threshold: f64) -> Outage {
    super::longest_outage(&listed(all.to_vec(), u64::MAX), from, until, threshold)
}

const S: i64 = 1_000_000;

/// Ten requests a second, with the given number of good ones in each.
fn seconds(good: &[u32]) -> Vec<Request> {
    let second = |(second, good): (i64, &u32)| {
        let good = *good;
        (0..10).map(move |k| (second * S + i64::from(k) * S / 10, k >= 10 - good))
    };
    (0..).zip(good).flat_map(second).collect()
}

#[test]
fn the_moment_is_that_of_the_last_bad_request() {
    let mut good = [10; 30];
    good[..3].fill(0);
    let found = turning(&seconds(&good), 0, 0.9);
    assert_eq!(found.at_us, Some(2 * S + 900_000));
    assert!(found.low_us <= 2 * S + 900_000 && found.high_us.unwrap() < 9 * S, "{found:?}");
    // A single later failure is no relapse, but an outage that costs more than was saved since is one.
    good[20] = 9;
    assert_eq!(turning(&seconds(&good), 0, 0.9).at_us, Some(2 * S + 900_000));
    good[22..26].fill(0);
    let relapsed = turning(&seconds(&good), 0, 0.9);
    assert_eq!(
        (relapsed.at_us, relapsed.high_us),
        (Some(25 * S + 900_000), None),
        "four good seconds show nothing"
    );
}

#[test]
fn always_good_and_never_good() {
    let fine = turning(&seconds(&[10; 30]), 0, 0.9);
    assert_eq!((fine.at_us, fine.low_us), (None, 0));
    assert!(fine.high_us.unwrap() < 6 * S, "{fine:?}");
    let dead = turning(&seconds(&[0; 30]), 0, 0.9);
    assert_eq!((dead.at_us, dead.high_us), (Some(29 * S + 900_000), None));
    assert!(dead.low_us > 28 * S, "{dead:?}");
    let nothing = turning(&[], 5, 0.9);
    assert_eq!((nothing.at_us, nothing.low_us, nothing.high_us), (None, 5, None));
}

#[test]
fn a_system_at_half_is_not_good_at_nine_tenths() {
    let found = turning(&seconds(&[5; 60]), 0, 0.9);
    assert!(found.low_us > 50 * S && found.high_us.is_none(), "{found:?}");
    assert!(turning(&seconds(&[5; 60]), 0, 0.3).high_us.is_some(), "and it is at three tenths");
}

#[test]
fn the_longest_outage_has_two_ends() {
    let mut good = [10; 30];
    good[4] = 5;
    good[10..13].fill(0);
    let outage = longest_outage(&seconds(&good), 0, 30 * S, 0.9);
    assert_eq!((outage.from_us, outage.low_us, outage.high_us), (Some(10 * S), 2_900_000, 3_100_000));
    assert!(outage.shown);
    good[10..13].fill(10);
    (good[4], good[20]) = (10, 8);
    assert!(
        !longest_outage(&seconds(&good), 0, 30 * S, 0.9).shown,
        "some failures together are no outage yet"
    );
    assert_eq!(longest_outage(&seconds(&[10; 9]), 0, 9 * S, 0.9), Outage::default());
    let dead = longest_outage(&seconds(&[0; 9]), 0, 9 * S, 0.9);
    assert_eq!((dead.low_us, dead.high_us), (8_900_000, 9 * S));
}

#[test]
fn the_promised_number_of_good_requests_shows_the_moment() {
    for threshold in [0.3, 0.5, 0.9, 0.95, 0.99] {
        let needed = good_to_show(threshold).ceil();
        let all = |count: f64| -> Vec<Request> {
            (0..crate::whole(count)).map(|k| (k.cast_signed(), true)).collect()
        };
        assert!(turning(&all(needed + 1.0), 0, threshold).high_us.is_some(), "{threshold}");
        assert!(turning(&all(needed - 1.0), 0, threshold).high_us.is_none(), "{threshold}");
    }
    assert_eq!(crate::whole(good_to_show(0.9).ceil()), 47);
}

/// A system's probability of a good answer, in seconds after the fault's start; and the moment from which on it is
/// good.
type Shape = (&'static str, i64, fn(f64) -> f64);

/// 60 s each; the moment is where the summed shortfall against 90 % is highest.
const SHAPES: [Shape; 7] = [
    ("dead, then clean", 12, |t| if t < 12.0 { 0.0 } else { 1.0 }),
    ("dead, then 2 % noise", 15, |t| if t < 15.0 { 0.0 } else { 0.98 }),
    ("1 of 3 fails, then 0.5 % noise", 20, |t| if t < 20.0 { 0.667 } else { 0.995 }),
    ("1 of 5 fails, then 2 % noise", 18, |t| if t < 18.0 { 0.8 } else { 0.98 }),
    ("a ramp", 10 + 9, |t| ((t - 10.0) / 10.0).clamp(0.0, 1.0)),
    ("a relapse", 23, |t| if t < 10.0 || (20.0..23.0).contains(&t) { 0.0 } else { 1.0 }),
    ("never bad enough", 0, |_| 0.97),
];

/// Simulates a shape at a rate, once for each seed. Returns the share of ranges that contain the truth, and the median width
/// of the ranges in seconds.
fn cell(shape: &Shape, rate: f64, seeds: u64) -> (f64, f64) {
    let (_, truth, good_at) = shape;
    let truth = truth * S;
    let (mut held, mut widths) = (0.0, Vec::new());
    for seed in 0..seeds {
        let mut schedule = Schedule::new(0, 60_000_000, rate, Arrivals::Poisson, seed).unwrap();
        let mut chance = Chance::new(seed, 11);
        let dues = std::iter::from_fn(|| schedule.take());
        let requests: Vec<Request> = dues
            .map(|due| (i64::try_from(due).unwrap(), chance.draw() < good_at(due as f64 / 1e6)))
            .collect();
        let found = turning(&requests, 0, 0.9);
        // Between two requests nothing is measured, so the truth may be at either end.
        if found.low_us <= truth && found.high_us.is_none_or(|high| truth <= high) {
            held += 1.0;
        }
        widths.push(found.high_us.unwrap_or(60 * S) - found.low_us);
    }
    widths.sort_unstable();
    (held / seeds as f64, widths[widths.len() / 2] as f64 / 1e6)
}

#[test]
fn ranges_hold_the_truth() {
    for shape in &SHAPES {
        for rate in [10.0, 50.0] {
            let (cover, width) = cell(shape, rate, 100);
            assert!(cover >= 0.95, "{} at {rate}/s: {cover}", shape.0);
            println!("{} at {rate}/s: cover {cover}, width {width} s", shape.0);
        }
    }
    let (_, width) = cell(&SHAPES[0], 50.0, 100);
    assert!(width <= 1.3, "a sharp end is known to about a second at 50/s: {width}");
}

proptest! {
    #[test]
    fn a_range_holds_its_moment(outcomes in proptest::collection::vec(any::<bool>(), 0..300), threshold in 0.05_f64..0.999) {
        let requests: Vec<Request> = (0_i64..).zip(&outcomes).map(|(k, good)| (k * 1000, *good)).collect();
        let found = turning(&requests, 0, threshold);
        let at = found.at_us.unwrap_or(0);
        prop_assert!(found.low_us <= at && found.high_us.is_none_or(|high| at <= high), "{:?}", found);
        let outage = longest_outage(&requests, 0, 300_000, threshold);
        prop_assert!(outage.low_us <= outage.high_us);
    }
    #[test]
    fn runs_give_the_same_results_as_single_requests(
        outcomes in proptest::collection::vec((any::<bool>(), 1_u64..120), 0..60),
        threshold in 0.05_f64..0.999,
        most in 1_u64..50,
    ) {
        let outcomes = outcomes.iter().flat_map(|(good, count)| std::iter::repeat_n(*good, usize::try_from(*count).unwrap()));
        let requests: Vec<Request> = (0_i64..).zip(outcomes).map(|(k, good)| (k * 1000 + 7, good)).collect();
        let runs = listed(requests.clone(), most);
        prop_assert_eq!(super::turning(&runs, 0, threshold), each::turning(&requests, 0, threshold));
        let until = 10_000_000;
        prop_assert_eq!(
            super::longest_outage(&runs, 0, until, threshold),
            each::longest_outage(&requests, 0, until, threshold)
        );
    }
}
