//! How often the judge is right: drills of made-up systems whose truth is known, measured by the shipped schedule, books and
//! bins, and judged by [`crate::score::fold`] from a log. Only sockets and clocks are replaced.
//!
//! A part of it runs with the tests; `just truth` runs all of it, 1,000 drills a cell. The limits are those of
//! `docs/statistics.md`; what the number of drills explains is no breach of them.

mod cells;
mod drill;
mod shapes;
mod tally;

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use cells::Cell;
use tally::Tally;

/// Drills a cell: all of them where the environment says so, else as many as the tests have time for.
fn drills() -> u64 {
    std::env::var("FIREDRILL_TRUTH").ok().and_then(|text| text.parse().ok()).unwrap_or(12)
}

/// Runs cells side by side; each drill has a seed of its own.
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

/// Prints all cells, and panics with those that are beyond the limits.
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
        beyond.extend(tally.beyond(cell.limits()).map(|why| format!("{}: {why}", cell.name())));
        sum.add(tally);
    }
    println!("{:<44} {sum}", "all together");
    beyond.extend(sum.beyond(tally::MEAN).map(|why| format!("all together: {why}")));
    assert!(beyond.is_empty(), "{what}:\n{}", beyond.join("\n"));
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
