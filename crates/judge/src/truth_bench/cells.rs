//! The cells of the bench: a system, a rate and a duration, with the right and wrong results of a drill.

use firedrill_plan::plan::model::{Goal, Phase};
use firedrill_probe::{schedule::Schedule, simulate::Answer};
use firedrill_statistics::chance::Chance;
use firedrill_wire::{Span, probe::Arrivals};

use super::{
    shapes::{Course, Latency, Shape, mean},
    tally::{CELL, LARGE, Limits, Tally},
};
use crate::{
    score::card::{AttackCard, Measured},
    testing::simulated::{FAULT_US, Setup, share},
    verdict::Verdict,
};

/// A good answer after five milliseconds.
const GOOD: Answer = Answer::Good(5000);

/// One cell.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell {
    /// Failures with that shape during the fault.
    Share { shape: Shape, bad: f64, rate: f64, seconds: u32 },
    /// One of three back ends fails behind a round-robin balancer; users call too, at equal distances, at `users`
    /// times the probe's rate.
    TurnTaking { users: f64, rate: f64 },
    /// Half of a recovery of eight seconds is an outage. Measurements after its end are good and must not count.
    Tail { rate: f64 },
    /// A latency quantile during the fault.
    Latency { quantile: f64, slow: f64, rate: f64 },
    /// The time to mitigate.
    Mitigate { course: Course, rate: f64 },
    /// The time to recover.
    Recover { course: Course, rate: f64 },
}

pub(super) fn shares() -> Vec<Cell> {
    let shapes = [
        Shape::Independent,
        Shape::Bursts(1.0),
        Shape::Bursts(3.0),
        Shape::Bursts(10.0),
        Shape::Period(0.1),
        Shape::Period(2.0),
        Shape::Outage,
        Shape::Ramp,
        Shape::OutageAndNoise,
    ];
    let mut cells = Vec::new();
    for (rate, seconds) in [(10.0, 60), (50.0, 60), (50.0, 8), (1.0, 60)] {
        for bad in [0.15, 0.05, 0.01] {
            // A phase in which hardly any request is bad cannot be judged wrongly.
            let enough = rate * f64::from(seconds) * bad >= 3.0;
            cells.extend(
                shapes.map(|shape| Cell::Share { shape, bad, rate, seconds }).into_iter().filter(|_| enough),
            );
        }
    }
    cells.extend([10.0, 50.0].map(|rate| Cell::Tail { rate }));
    cells.extend([1.0, 2.0, 2.99, 3.0].map(|users| Cell::TurnTaking { users, rate: 10.0 }));
    cells
}

pub(super) fn latencies() -> Vec<Cell> {
    let mut cells = Vec::new();
    for rate in [10.0, 50.0] {
        for slow in [0.0, 0.05] {
            cells.extend([0.5, 0.95, 0.99].map(|quantile| Cell::Latency { quantile, slow, rate }));
        }
    }
    cells
}

pub(super) fn times() -> Vec<Cell> {
    let step = |first: f64, until: f64, noise: f64| Course::Step { first, until, noise };
    let courses = [
        step(0.0, 12.0, 0.0),
        step(0.0, 15.0, 0.005),
        step(0.0, 15.0, 0.02),
        step(0.667, 20.0, 0.005),
        step(0.8, 18.0, 0.02),
        Course::Ramp { takes: 5.0 },
        Course::Ramp { takes: 20.0 },
        Course::Relapse,
        Course::Fine { noise: 0.0 },
        Course::Fine { noise: 0.03 },
    ];
    let mut cells = Vec::new();
    for rate in [10.0, 50.0] {
        cells.extend(courses.map(|course| Cell::Mitigate { course, rate }));
        cells.extend(courses.map(|course| Cell::Recover { course, rate }));
    }
    cells
}

impl Cell {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Share { shape, bad, rate, seconds } => {
                format!("{}, {:.0} % bad, {rate}/s, {seconds} s", shape.name(), bad * 100.0)
            }
            Self::TurnTaking { users, rate } => format!("balancer in turns, {rate}/s, users {users} times"),
            Self::Tail { rate } => format!("outage in half of the recovery, {rate}/s"),
            Self::Latency { quantile, slow, rate } => {
                format!("p{}, {:.0} % of the time slow, {rate}/s", quantile * 100.0, slow * 100.0)
            }
            Self::Mitigate { course, rate } => format!("mitigate: {}, {rate}/s", course.name()),
            Self::Recover { course, rate } => format!("recover: {}, {rate}/s", course.name()),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        match self {
            // With this mean number of bad requests, `check` calls the size sufficient for half and for twice the
            // allowed share.
            Self::Share { bad, rate, seconds, .. } if bad * rate * f64::from(*seconds) >= 40.0 => LARGE,
            Self::Mitigate { course, rate } | Self::Recover { course, rate } => {
                width(course, *rate).map_or(LARGE, |most| LARGE.with_width(most))
            }
            _ => CELL,
        }
    }

    /// Runs one drill.
    pub(super) fn judge(&self, seed: u64, tally: &mut Tally) {
        let mut chance = Chance::new(seed, 7);
        match *self {
            Self::Share { shape, bad, rate, seconds } => {
                let length = f64::from(seconds);
                let good = shape.make(bad, length, &mut chance);
                let truth = mean(&*good, length);
                let far = (1.0 - truth) * rate * length >= 40.0;
                share_cell(tally, setup(seed, rate, seconds), truth, far, |at| good(at) > chance.draw());
            }
            Self::TurnTaking { users, rate } => {
                let mut turns = Turns::new(seed, users * rate);
                share_cell(tally, setup(seed, rate, 60), 2.0 / 3.0, false, |at| turns.take(at) != 0);
            }
            Self::Tail { rate } => {
                let mut setup = Setup { recovery_us: 8_000_000, ..setup(seed, rate, 5) };
                setup.goals = vec![(Goal::Good(share(0.5)), Phase::Recovery)];
                let outage = setup.heal_us()..setup.heal_us() + setup.recovery_us / 2;
                let card = setup.judged(|at| if outage.contains(&at) { Answer::Bad } else { GOOD });
                let one = &card.objectives[0];
                let verdict = one.verdict;
                tally.count(
                    covers(&one.measured, 0.5, 1e-6),
                    verdict == Verdict::Held,
                    verdict == Verdict::Violated,
                );
            }
            Self::Latency { quantile, slow, rate } => {
                let latency = Latency { median_us: 40_000.0, slow };
                let truth = latency.quantile(quantile);
                let mut setup = setup(seed, rate, 60);
                let below = Span::micros(firedrill_statistics::whole(truth));
                setup.goals = vec![(Goal::Latency { quantile, below }, Phase::Fault)];
                let begin = chance.draw() * 60.0 * (1.0 - slow);
                let card = setup.judged(|at| {
                    let at = seconds_after(at, FAULT_US);
                    let slow = (begin..begin + 60.0 * slow).contains(&at);
                    Answer::Good(latency.draw(slow, chance.draw()))
                });
                let one = &card.objectives[0];
                // Histograms have three digits.
                tally.count(
                    covers(&one.measured, truth, 0.002),
                    one.verdict == Verdict::Held,
                    one.verdict == Verdict::Violated,
                );
            }
            Self::Mitigate { course, rate } => {
                let setup = setup(seed, rate, 60);
                time_cell(tally, setup, course, FAULT_US, &mut chance, Goal::MitigateWithin, Phase::Fault);
            }
            Self::Recover { course, rate } => {
                let setup = setup(seed, rate, 20);
                let zero = setup.heal_us();
                time_cell(tally, setup, course, zero, &mut chance, Goal::RecoverWithin, Phase::Recovery);
            }
        }
    }
}

/// Returns the maximum median width of a time's range, in seconds: a fifth above the method's own.
fn width(course: &Course, rate: f64) -> Option<f64> {
    let at_ten = match course {
        Course::Step { first, noise, .. } if *first <= 0.0 && *noise < 0.01 => 5.2,
        Course::Step { first, .. } if *first <= 0.0 => 9.2,
        Course::Step { first, .. } if *first < 0.7 => 7.9,
        Course::Step { .. } => 19.5,
        Course::Ramp { takes } if *takes < 10.0 => 7.0,
        Course::Ramp { .. } => 10.9,
        Course::Relapse => 5.6,
        Course::Fine { .. } => return None,
    };
    // Widths fall as the rate rises, where the end is sharp.
    let sharp =
        matches!(course, Course::Step { first, .. } if *first < 0.7) || matches!(course, Course::Relapse);
    Some(1.2 * if sharp { at_ten * 10.0 / rate } else { at_ten })
}

/// Returns a drill with a fault of that many seconds, without goals.
fn setup(seed: u64, rate: f64, seconds: u32) -> Setup {
    let hold_us = i64::from(seconds) * 1_000_000;
    Setup { rate, arrivals: Arrivals::Poisson, hold_us, recovery_us: 60_000_000, goals: Vec::new(), seed }
}

fn seconds_after(at_us: i64, zero_us: i64) -> f64 {
    (at_us - zero_us) as f64 / 1e6
}

/// Judges a drill by goals on the share of good requests: at the truth, below it, and above it. `good` returns whether a request is good,
/// by the second of the fault; `far` is whether the other goals have to be decided.
fn share_cell(tally: &mut Tally, mut setup: Setup, truth: f64, far: bool, mut good: impl FnMut(f64) -> bool) {
    setup.recovery_us = 5_000_000;
    let bad = 1.0 - truth;
    let goals = [truth, 1.0 - 2.0 * bad, 1.0 - bad / 2.0];
    setup.goals = goals.map(|goal| (Goal::Good(share(goal)), Phase::Fault)).to_vec();
    let during = FAULT_US..setup.heal_us();
    let card = setup.judged(|at| {
        let bad = during.contains(&at) && !good(seconds_after(at, FAULT_US));
        if bad { Answer::Bad } else { GOOD }
    });
    let verdict = |place: usize| card.objectives[place].verdict;
    tally.count(
        covers(&card.objectives[0].measured, truth, 1e-6),
        verdict(0) == Verdict::Held,
        verdict(0) == Verdict::Violated,
    );
    if far {
        tally.count_far(verdict(1), Verdict::Held);
        tally.count_far(verdict(2), Verdict::Violated);
    }
}

/// Judges a drill by goals on a time: just below the truth, just above it, and far on both sides. Time is counted from `zero_us`.
fn time_cell(
    tally: &mut Tally,
    mut setup: Setup,
    course: Course,
    zero_us: i64,
    chance: &mut Chance,
    goal: fn(Span) -> Goal,
    phase: Phase,
) {
    let truth = course.truth();
    let within = |seconds: f64| (goal(Span::micros(firedrill_statistics::whole(seconds * 1e6))), phase);
    setup.goals = vec![
        within((truth * 0.98).max(0.001)),
        within(truth * 1.02 + 0.001),
        within(50.0),
        within((truth / 4.0).max(0.001)),
    ];
    let begins = zero_us..zero_us + 60_000_000;
    let card: AttackCard = setup.judged(|at| {
        let second = seconds_after(at, zero_us);
        let bad = begins.contains(&at) && course.at(second) <= chance.draw();
        if bad { Answer::Bad } else { GOOD }
    });
    let verdict = |place: usize| card.objectives[place].verdict;
    let held = truth > 0.0 && verdict(0) == Verdict::Held;
    tally.count(
        covers(&card.objectives[0].measured, truth * 1e6, 1e-4),
        held,
        verdict(1) == Verdict::Violated,
    );
    let measured = &card.objectives[0].measured;
    let last = (begins.end - zero_us) as f64;
    tally.count_width((measured.high.unwrap_or(last) - measured.low.unwrap_or(0.0)) / 1e6);
    tally.count_far(verdict(2), Verdict::Held);
    if matches!(course, Course::Step { first, .. } if first < 0.5) {
        tally.count_far(verdict(3), Verdict::Violated);
    }
}

/// Whether a range contains the truth, within a tolerance.
fn covers(measured: &Measured, truth: f64, part: f64) -> bool {
    let slack = truth.abs() * part;
    measured.low.is_none_or(|low| low <= truth + slack)
        && measured.high.is_none_or(|high| truth - slack <= high)
}

/// A round-robin balancer of three back ends; other users call at equal distances.
struct Turns {
    others: Schedule,
    turn: u64,
}

impl Turns {
    fn new(seed: u64, rate: f64) -> Self {
        let others = Schedule::new(seed * 7919 % 100_000, u64::MAX, rate, Arrivals::Even, 0).expect("a rate");
        Self { others, turn: seed }
    }

    /// Returns the back end of a call at that second.
    fn take(&mut self, at: f64) -> u64 {
        self.turn += self.others.take_before(firedrill_statistics::whole(at * 1e6)) + 1;
        self.turn % 3
    }
}
