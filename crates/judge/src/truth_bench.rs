//! Measures how often the judge is right: simulated drills of systems whose truth is known. The shipped schedule,
//! ledger and bins measure them, and [`crate::score::fold`] judges them from a log. Only sockets and clocks are
//! replaced.
//!
//! A part of it runs with the tests; `just truth` runs all of it, 1,000 drills per cell. The limits are those of
//! `docs/statistics.md`; an excess that the number of drills explains does not count.

mod cells;
mod shapes;
mod tally;

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use firedrill_plan::plan::{
    decide::{PART, rate_for, samples_to_decide},
    model::{GOOD_AT, Goal, Phase},
};
use firedrill_probe::simulate::Answer;
use firedrill_statistics::at_most;
use firedrill_wire::{Span, probe::Arrivals};

use crate::{testing::simulated as drill, verdict::Verdict};
use cells::Cell;
use drill::Setup;
use tally::Tally;

/// Returns the number of drills per cell: the one in the environment, otherwise a small one for tests.
fn drills() -> u64 {
    std::env::var("FIREDRILL_TRUTH").ok().and_then(|text| text.parse().ok()).unwrap_or(12)
}

/// Runs cells in parallel; each drill has its own seed.
fn run(cells: &[Cell]) -> Vec<Tally> {
    let (next, all) = (AtomicUsize::new(0), Mutex::new(vec![Tally::default(); cells.len()]));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(cell) = cells.get(place) else { return };
                    let mut tally = Tally::default();
                    for seed in 0..drills() {
                        cell.judge(seed, &mut tally);
                    }
                    all.lock().expect("no panic")[place] = tally;
                }
            });
        }
    });
    all.into_inner().expect("no panic")
}

/// Prints all cells, and panics with those that exceed the limits.
fn judge(what: &str, cells: &[Cell]) {
    let tallies = run(cells);
    println!("{what}: {} drills a cell; in %", drills());
    println!(
        "{:<44} {:>6} {:>10} {:>14} {:>10} {:>8}",
        "", "cover", "false held", "false violated", "undecided", "width"
    );
    let mut sum = Tally::default();
    let mut beyond = Vec::new();
    for (cell, tally) in cells.iter().zip(&tallies) {
        println!("{:<44} {tally}", cell.name());
        beyond.extend(tally.exceeded(cell.limits()).map(|why| format!("{}: {why}", cell.name())));
        sum.add(tally);
    }
    println!("{:<44} {sum}", "all together");
    beyond.extend(sum.exceeded(tally::MEAN).map(|why| format!("all together: {why}")));
    assert!(beyond.is_empty(), "{what}:\n{}", beyond.join("\n"));
}

/// Judges a healthy system at the rate that `check` recommends for a goal and a time.
#[test]
fn the_rate_that_check_recommends_is_enough() {
    let share = |goal: f64| Goal::Good(drill::share(goal));
    let quick = Goal::Latency { quantile: 0.95, below: Span::millis(300) };
    for (goal, phase, seconds) in [
        (share(0.9), Phase::Fault, 5),
        (share(0.95), Phase::Fault, 8),
        (share(0.99), Phase::Fault, 20),
        (quick, Phase::Fault, 6),
        (Goal::MitigateWithin(Span::secs(4)), Phase::Fault, 8),
        (Goal::RecoverWithin(Span::secs(2)), Phase::Recovery, 8),
    ] {
        let needed = samples_to_decide(&goal, GOOD_AT);
        let (within, arrivals) = match goal {
            Goal::MitigateWithin(within) | Goal::RecoverWithin(within) => {
                (Span(within.0 / PART), Arrivals::Even)
            }
            Goal::Good(_) | Goal::Latency { .. } | Goal::LostWrites(_) => {
                (Span::secs(seconds), Arrivals::Poisson)
            }
        };
        let rate = rate_for(needed, within, arrivals) as f64;
        let length_us = i64::try_from(seconds * 1_000_000).expect("short");
        let held = |seed: &u64| {
            let setup = Setup {
                rate,
                arrivals: Arrivals::Poisson,
                hold_us: length_us,
                recovery_us: length_us,
                goals: vec![(goal, phase)],
                seed: *seed,
            };
            setup.judged(|_| Answer::Good(5000)).objectives[0].verdict == Verdict::Held
        };
        let drills = drills();
        let held = (0..drills).filter(held).count() as u64;
        println!("{goal:?} over {seconds} s at {rate}/s: held in {held} of {drills}");
        // So few, or fewer, would be held by chance in 1 of 740 cases if the probability were 0.9.
        assert!(at_most(held, drills, 0.9) >= 0.00135, "{goal:?} at {rate}/s: held in {held} of {drills}");
    }
}

#[test]
fn shares_are_judged_right() {
    judge("shares", &cells::shares());
}

#[test]
fn latencies_are_judged_right() {
    judge("latencies", &cells::latencies());
}

#[test]
fn times_are_judged_right() {
    judge("times", &cells::times());
}
