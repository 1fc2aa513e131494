//! Measures how often a run of an unchanged system is called worse than usual, and how often a run of a worse system is. The systems are made up; they
//! are measured by the real schedule and bins in simulated time, and judged from a log.
//!
//! Without the variable `FIREDRILL_TRUTH`, a few cells are measured, and a test checks that they keep to the limit. With it, all cells are measured and
//! printed; its value is the number of runs of each cell. From these runs, five or ten baseline runs and one new run are drawn a thousand times.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use firedrill_judge::{
    score::card::Measured,
    testing::simulated::{FAULT_US, Setup, share},
};
use firedrill_plan::plan::model::{Goal, Phase};
use firedrill_probe::simulate::Answer;
use firedrill_statistics::{chance::Chance, usual::BEYOND, whole};
use firedrill_wire::{Span, probe::Arrivals};

use super::{ENOUGH, change};
use crate::change::Change;

/// The default margin of the command line.
const MARGIN: f64 = 0.1;
/// Number of times that baseline runs and a new run are drawn.
const DRAWS: u32 = 1000;
/// Length of the fault phase, in seconds.
const SECONDS: f64 = 60.0;

/// The kind of a system, by the figure that is measured.
#[derive(Clone, Copy, Debug)]
enum System {
    /// The 99th percentile of latency, with slow episodes in 5 % of the time.
    Latency,
    /// The share of good requests, with this share of failures.
    Failures(f64),
    /// The time to mitigate: an outage of 10 s from the fault's start on, then single failures.
    Outage,
}

/// A system, and the way in which it is measured.
#[derive(Clone, Copy, Debug)]
struct Cell {
    system: System,
    /// Failures or slow requests come in bursts of this length, in seconds; with 0 each comes independently.
    burst: f64,
    /// Requests per second.
    rate: f64,
    /// Runs of an unchanged system differ by a random factor. This is the standard deviation of the factor's logarithm.
    differ: f64,
}

impl Cell {
    fn name(&self) -> String {
        let system = match self.system {
            System::Latency => format!("p99 of {} requests", self.rate * SECONDS),
            System::Failures(bad) => format!("{} % of {} requests bad", bad * 100.0, self.rate * SECONDS),
            System::Outage => format!("outage of 10 s, {} requests", self.rate * SECONDS),
        };
        let burst = match self.system {
            System::Outage => String::new(),
            _ if self.burst > 0.0 => format!(", bursts of {} s", self.burst),
            _ => ", each by itself".to_owned(),
        };
        let differ = if self.differ > 0.0 {
            format!(", runs differ by {:.0} %", self.differ * 100.0)
        } else {
            String::new()
        };
        format!("{system}{burst}{differ}")
    }

    /// The factors by which the worse systems of this cell are worse.
    const fn worse(&self) -> [f64; 2] {
        match self.system {
            System::Latency | System::Outage => [1.25, 1.5],
            System::Failures(_) => [2.0, 4.0],
        }
    }

    /// Runs one drill of the system, made worse by a factor, and returns its figure.
    fn run(&self, seed: u64, worse: f64) -> Measured {
        // Each factor has a stream of random numbers of its own.
        let mut chance = Chance::new(seed, whole(worse * 100.0) + 17);
        // The sum of twelve draws is nearly normal, with the mean 6 and the standard deviation 1.
        let normal = (0..12).map(|_| chance.draw()).sum::<f64>() - 6.0;
        let factor = worse * (self.differ * normal).exp();
        let goal = match self.system {
            System::Latency => Goal::Latency { quantile: 0.99, below: Span::millis(1900) },
            System::Failures(_) => Goal::Good(share(0.5)),
            System::Outage => Goal::MitigateWithin(Span::secs(50)),
        };
        let setup = Setup {
            rate: self.rate,
            arrivals: Arrivals::Poisson,
            hold_us: 60_000_000,
            recovery_us: 5_000_000,
            goals: vec![(goal, Phase::Fault)],
            // Each factor gets requests at other times.
            seed: seed * 16 + whole(worse * 4.0),
        };
        let part = match self.system {
            System::Latency => 0.05,
            System::Failures(bad) => (bad * factor).min(0.95),
            System::Outage => 0.0,
        };
        let bursts = bursts(self.burst, part, &mut chance);
        let card = setup.judged(|at_us| {
            let second = (at_us - FAULT_US) as f64 / 1e6;
            let hit = if self.burst > 0.0 {
                bursts.iter().any(|begin| (*begin..begin + self.burst).contains(&second))
            } else {
                chance.draw() < part
            };
            let fault = (0.0..SECONDS).contains(&second);
            match self.system {
                System::Latency => {
                    let even = chance.draw().clamp(1e-9, 1.0 - 1e-9);
                    let slow = if hit { 5.0 } else { 1.0 };
                    Answer::Good(whole(20_000.0 * factor * slow * (even / (1.0 - even)).powf(0.25)))
                }
                System::Failures(_) if fault && hit => Answer::Bad,
                System::Outage if fault && (second < 10.0 * factor || chance.draw() < 0.005) => Answer::Bad,
                System::Failures(_) | System::Outage => Answer::Good(5000),
            }
        });
        card.objectives[0].measured
    }
}

/// Returns the beginnings of bursts, in seconds from the fault's start. `each` is the length of a burst; together they take a `part` of the time.
fn bursts(each: f64, part: f64, chance: &mut Chance) -> Vec<f64> {
    let mut beginnings = Vec::new();
    let mut at = -each;
    while each > 0.0 && at < SECONDS {
        // The gaps are exponential, and bursts may overlap. With this rate, all bursts together take the wanted part of the time.
        at += -(1.0 - chance.draw()).ln() * each / -(1.0 - part).ln().min(-1e-9);
        beginnings.push(at);
    }
    beginnings
}

/// The results of a cell, as shares of the draws.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    /// A new run of the same system is called worse than one baseline run.
    one: f64,
    /// It is called worse than five baseline runs.
    five: f64,
    /// It is called worse than ten baseline runs.
    ten: f64,
    /// It is called better than five baseline runs.
    better: f64,
    /// A new run of each worse system is called worse than five baseline runs.
    found: [f64; 2],
}

fn measure(cell: &Cell, runs: u64) -> Said {
    let same: Vec<Measured> = (0..runs).map(|seed| cell.run(seed, 1.0)).collect();
    let worse =
        cell.worse().map(|worse| (0..runs.div_ceil(2)).map(|seed| cell.run(seed, worse)).collect::<Vec<_>>());
    let mut chance = Chance::new(runs, 99);
    let mut said = Said::default();
    for _ in 0..DRAWS {
        let drawn = draw(&same, 2 * ENOUGH + 1, &mut chance);
        let (new, before) = (drawn[2 * ENOUGH], &drawn[..2 * ENOUGH]);
        // Returns the part of the result that this draw contributes.
        let is = |before: &[Measured], new: &Measured, wanted| {
            let found = change(before, new, MARGIN).is_some_and(|(change, _)| change == wanted);
            f64::from(u8::from(found)) / f64::from(DRAWS)
        };
        said.one += f64::from(u8::from(apart(&before[0], &new))) / f64::from(DRAWS);
        said.five += is(&before[..ENOUGH], &new, Change::Worse);
        said.ten += is(before, &new, Change::Worse);
        said.better += is(&before[..ENOUGH], &new, Change::Better);
        for (index, runs) in worse.iter().enumerate() {
            said.found[index] += is(&before[..ENOUGH], &draw(runs, 1, &mut chance)[0], Change::Worse);
        }
    }
    said
}

/// Draws different runs at random.
fn draw(runs: &[Measured], count: usize, chance: &mut Chance) -> Vec<Measured> {
    let mut left: Vec<usize> = (0..runs.len()).collect();
    let mut drawn = Vec::new();
    for _ in 0..count.min(runs.len()) {
        let index = usize::try_from(whole((chance.draw() * left.len() as f64).floor())).unwrap_or(0);
        drawn.push(runs[left.swap_remove(index.min(left.len() - 1))]);
    }
    drawn
}

/// Whether a figure is worse than another one because their ranges do not overlap.
fn apart(before: &Measured, new: &Measured) -> bool {
    let share = new.unit == firedrill_judge::score::card::Unit::Share;
    if share {
        new.high.zip(before.low).is_some_and(|(new, old)| new < old)
    } else {
        new.low.zip(before.high).is_some_and(|(new, old)| new > old)
    }
}

/// Returns all cells. The most interesting ones come first, because each is printed as soon as it is done.
fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for burst in [0.0, 3.0, 10.0, 1.0, 30.0] {
        cells.push(Cell { system: System::Failures(0.01), burst, rate: 20.0, differ: 0.0 });
        for differ in [0.0, 0.1, 0.05] {
            cells.push(Cell { system: System::Latency, burst, rate: 20.0, differ });
        }
        for bad in [0.05, 0.001, 0.005] {
            cells.push(Cell { system: System::Failures(bad), burst, rate: 20.0, differ: 0.0 });
        }
        if burst <= 0.0 {
            let outage = |differ| Cell { system: System::Outage, burst, rate: 20.0, differ };
            cells.extend([0.0, 0.05, 0.1].map(outage));
            cells.push(Cell { system: System::Failures(0.05), burst, rate: 20.0, differ: 0.1 });
        }
    }
    cells
}

/// Measures cells in parallel, and calls `done` for each as soon as it is measured.
fn measure_all(cells: &[Cell], runs: u64, done: impl Fn(&Cell, &Said) + Sync) -> Vec<Said> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(vec![Said::default(); cells.len()]));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(cell) = cells.get(index) else { return };
                    let said = measure(cell, runs);
                    done(cell, &said);
                    results.lock().expect("no panic")[index] = said;
                }
            });
        }
    });
    results.into_inner().expect("no panic")
}

/// In these cells runs differ as the test of `usual.rs` assumes, so it is wrong as rarely as it promises.
#[test]
fn an_unchanged_system_is_called_worse_in_one_of_twenty_runs_at_most() {
    let cells = [
        Cell { system: System::Failures(0.01), burst: 0.0, rate: 10.0, differ: 0.0 },
        Cell { system: System::Failures(0.05), burst: 1.0, rate: 10.0, differ: 0.0 },
        Cell { system: System::Latency, burst: 0.0, rate: 10.0, differ: 0.05 },
    ];
    for (cell, said) in cells.iter().zip(measure_all(&cells, 40, |_, _| {})) {
        assert!(said.five <= BEYOND, "{}: {said:?}", cell.name());
        assert!(said.found[1] >= 0.2, "{}: {said:?}", cell.name());
    }
}

/// Prints the results of all cells, if `FIREDRILL_TRUTH` asks for it.
#[test]
fn usual_figures_by_system() {
    let Some(runs) = std::env::var("FIREDRILL_TRUTH").ok().and_then(|text| text.parse::<u64>().ok()) else {
        return;
    };
    let cells = cells();
    println!("worse than usual: {runs} runs a cell, {DRAWS} draws of them; in %");
    println!("| system | beside one | beside five | beside ten | better | worse: first step | second step |");
    println!("|---|---|---|---|---|---|---|");
    let print = |cell: &Cell, said: &Said| {
        let [first, second] = cell.worse();
        println!(
            "| {} | {:.1} | {:.1} | {:.1} | {:.1} | x{first}: {:.0} | x{second}: {:.0} |",
            cell.name(),
            said.one * 100.0,
            said.five * 100.0,
            said.ten * 100.0,
            said.better * 100.0,
            said.found[0] * 100.0,
            said.found[1] * 100.0
        );
    };
    let results = measure_all(&cells, runs, print);
    let mean = results.iter().map(|said| said.five).sum::<f64>() / results.len() as f64;
    println!("mean beside five: {:.1}", mean * 100.0);
}
