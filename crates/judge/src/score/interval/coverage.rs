//! Tests how often ranges contain the truth, over simulated phases: requests at the moments of the prober's own schedule, a
//! system whose probabilities are known, and the estimate of the judge. The shapes of failures are those for which simpler
//! ranges failed. Nothing is sent, and no clock is read.

use firedrill_probe::schedule::Schedule;
use firedrill_wire::probe::Arrivals;

use super::{Block, estimate};
use firedrill_statistics::chance::Chance;

/// Number of simulated phases of each shape.
const DRILLS: u64 = 400;
/// Requests a second.
const RATE: f64 = 10.0;
/// Length of a phase.
const SECONDS: u64 = 60;
/// Makes the answers independent of the moments, which come from the same seed.
const SALT_OF_ANSWERS: u64 = 7919;

/// Returns the probability of a good request, by the second of the phase.
type Shape = fn(f64) -> f64;

const SHAPES: [(&str, Shape); 5] = [
    ("independent", |_| 0.95),
    ("one outage", |at| if (20.3..23.3).contains(&at) { 0.0 } else { 1.0 }),
    ("outage and noise", |at| if (20.3..22.3).contains(&at) { 0.0 } else { 0.98 }),
    ("bursts", |at| if at % 10.0 < 0.5 { 0.0 } else { 1.0 }),
    ("ramp", |at| 1.0 - 0.2 * (at / SECONDS as f64)),
];

/// Simulates a phase. Returns what the judge gets of it: counts by second. `good` returns whether a request is good, by the second
/// of the phase.
fn simulated(seed: u64, arrivals: Arrivals, mut good: impl FnMut(f64) -> bool) -> Vec<Block> {
    let mut schedule = Schedule::new(0, SECONDS * 1_000_000, RATE, arrivals, seed).expect("a rate");
    let mut blocks =
        vec![Block { good: 0.0, all: 0.0, length_us: 1e6 }; usize::try_from(SECONDS).expect("few")];
    while let Some(due) = schedule.take() {
        let block = &mut blocks[usize::try_from(due / 1_000_000).expect("few")];
        block.all += 1.0;
        block.good += f64::from(u8::from(good(due as f64 / 1e6)));
    }
    blocks
}

/// Returns the share of phases whose range contains the truth, and the share in which an objective with the truth as its goal would
/// be judged `held`, although the measurements do not show it.
fn coverage_of(shape: Shape) -> (f64, f64) {
    // The truth is the mean of the probability over the phase.
    let steps = 60_000;
    let truth =
        (0..steps).map(|i| shape((f64::from(i) + 0.5) * SECONDS as f64 / f64::from(steps))).sum::<f64>()
            / f64::from(steps);
    let (mut covers, mut held) = (0_u32, 0_u32);
    for seed in 0..DRILLS {
        let mut chance = Chance::new(seed, SALT_OF_ANSWERS);
        let blocks = simulated(seed, Arrivals::Poisson, |at| chance.draw() < shape(at));
        let range = estimate(&blocks).expect("measured");
        covers += u32::from(range.low <= truth && truth <= range.high);
        held += u32::from(range.low >= truth);
    }
    (f64::from(covers) / DRILLS as f64, f64::from(held) / DRILLS as f64)
}

#[test]
fn ranges_contain_the_truth_for_every_shape_of_failures() {
    let mut mean = 0.0;
    for (name, shape) in SHAPES {
        let (covers, held) = coverage_of(shape);
        assert!(covers >= 0.93, "{name}: the share of ranges that contain the truth is {covers}");
        assert!(held <= 0.04, "{name}: the share of phases that are wrongly judged held is {held}");
        mean += covers / SHAPES.len() as f64;
    }
    assert!(mean >= 0.95, "the mean share of ranges that contain the truth is {mean}");
}

/// Simulates a round-robin balancer in front of three back ends, one of which fails. Two more probes of the same rate use it.
/// Returns the share of phases whose range contains the truth, two thirds.
fn coverage_behind_a_balancer(arrivals: Arrivals) -> f64 {
    let mut covers = 0_u32;
    for seed in 0..DRILLS {
        let mut others: Vec<u64> = (1..3)
            .flat_map(|probe| {
                let start = if arrivals == Arrivals::Even { seed * 7919 * probe % 100_000 } else { 0 };
                let mut other =
                    Schedule::new(start, SECONDS * 1_000_000, RATE, arrivals, seed * 31 + probe + 1_000_000)
                        .expect("a rate");
                std::iter::from_fn(move || other.take())
            })
            .collect();
        others.sort_unstable();
        let mut own = 0;
        let blocks = simulated(seed, arrivals, |at| {
            // The balancer gives each request the next back end, in the order in which the requests of all probes come.
            let before = others.partition_point(|other| (*other as f64) < at * 1e6);
            own += 1;
            (before + own) % 3 != 0
        });
        let range = estimate(&blocks).expect("measured");
        covers += u32::from(range.low <= 2.0 / 3.0 && 2.0 / 3.0 <= range.high);
    }
    f64::from(covers) / DRILLS as f64
}

#[test]
fn random_moments_keep_in_step_with_no_balancer() {
    let random = coverage_behind_a_balancer(Arrivals::Poisson);
    assert!(random >= 0.93, "the share of ranges that contain the truth is {random}");
    let even = coverage_behind_a_balancer(Arrivals::Even);
    assert!(even < 0.1, "even moments have to fail here, or this test shows nothing; the share is {even}");
}
