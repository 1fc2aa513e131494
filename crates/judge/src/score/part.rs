//! Finds the part of a second that belongs to some phases. Seconds begin with the clock, phases do not.
//!
//! If the bin has its single requests, each is on one side of an edge, or so near to the edge that the clocks cannot tell.
//! Otherwise good requests are divided by time, and bad requests by the due times of the first and the last of them.

use firedrill_plan::plan::model::Phase;

use super::{
    phases::Phases,
    sample::{PHASES, Sample},
    single::{Outcome, Pace, exact},
};

/// The part of a bin that belongs to the requested phases.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'s> {
    /// No request, or none that is needed.
    None,
    /// All requests.
    Whole(&'s Sample),
    /// Some of its requests, one by one.
    Cut(&'s Sample, Cut),
    /// All its bad requests, and this share of all its requests.
    Side(&'s Sample, f64),
    /// It lies across an edge, and the side of its bad requests is unknown.
    Unsure(&'s Sample),
}

/// Numbers of requests by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) good: u64,
    pub(crate) bad: u64,
    pub(crate) slipped: u64,
}

/// The requests of a bin that lies across an edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cut {
    /// Requests that certainly belong to the phases.
    pub(crate) sure: Ends,
    /// Requests that were due so near to an edge that they may belong to the phases.
    pub(crate) near: Ends,
    /// The share of the bin's time that certainly belongs to them.
    pub(crate) time: f64,
}

/// A requested stretch of time, with the uncertainty of its ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    from_us: i64,
    /// Uncertainty of its start.
    from_zone_us: i64,
    until_us: i64,
    /// Uncertainty of its end.
    until_zone_us: i64,
}

impl Stretch {
    /// Returns the range of time that certainly belongs to it; empty, with its end before its start, if it is too short.
    pub(crate) fn sure(&self) -> std::ops::Range<i64> {
        self.from_us.saturating_add(self.from_zone_us)..self.until_us.saturating_sub(self.until_zone_us)
    }

    /// Whether a second is certainly completely in it.
    pub(crate) fn holds(&self, from: i64, until: i64) -> bool {
        self.sure().start <= from && until <= self.sure().end
    }

    /// Whether a second may be partly in it.
    fn touches(&self, from: i64, until: i64) -> bool {
        self.perhaps().start < until && from < self.perhaps().end
    }

    /// Returns the range of time that may belong to it.
    pub(crate) fn perhaps(&self) -> std::ops::Range<i64> {
        self.from_us.saturating_sub(self.from_zone_us)..self.until_us.saturating_add(self.until_zone_us)
    }
}

/// Returns the time of some phases; an edge between two of them does not count. `unsure_us` is the uncertainty of the
/// vantage's clock.
pub(crate) fn stretches(phases: &Phases, during: &[Phase], unsure_us: i64) -> Vec<Stretch> {
    let mut all: Vec<Stretch> = Vec::new();
    for (place, span) in phases.all.iter().enumerate().filter(|(_, span)| during.contains(&span.phase)) {
        // The end of a phase that is the start of the next one has the same uncertainty.
        let next = phases.all.get(place + 1).filter(|next| next.from_us == span.until_us);
        let until_zone_us = next.map_or(0, |next| next.edge_us).saturating_add(unsure_us);
        match all.last_mut() {
            Some(last) if last.until_us == span.from_us => {
                (last.until_us, last.until_zone_us) = (span.until_us, until_zone_us);
            }
            _ => all.push(Stretch {
                from_us: span.from_us,
                from_zone_us: span.edge_us.saturating_add(unsure_us),
                until_us: span.until_us,
                until_zone_us,
            }),
        }
    }
    all
}

/// Divides seconds at the edges of some phases.
pub(crate) struct Cutter<'b> {
    phases: &'b Phases,
    pace: Option<Pace>,
    during: &'b [Phase],
    unsure_us: i64,
    stretches: Vec<Stretch>,
}

impl<'b> Cutter<'b> {
    pub(crate) fn new(phases: &'b Phases, pace: Option<Pace>, during: &'b [Phase]) -> Self {
        Self { phases, pace, during, unsure_us: 0, stretches: stretches(phases, during, 0) }
    }

    /// Returns the part of a bin that belongs to the phases.
    pub(crate) fn part<'s>(&mut self, sample: &'s Sample) -> Part<'s> {
        let unsure_us = sample.uncertainty_us().unwrap_or(0);
        if unsure_us != self.unsure_us {
            (self.unsure_us, self.stretches) = (unsure_us, stretches(self.phases, self.during, unsure_us));
        }
        part(&self.stretches, self.pace, sample)
    }
}

/// Finds the phases that a second is in.
pub(crate) struct Sides {
    /// The index of a phase in [`PHASES`], and a stretch of it.
    each: Vec<(usize, Stretch)>,
}

impl Sides {
    /// Returns the sides of these phases. `unsure_us` is the uncertainty of the vantage's clock.
    pub(crate) fn of(phases: &Phases, unsure_us: i64) -> Self {
        let sides = |(place, phase): (usize, &Phase)| {
            stretches(phases, &[*phase], unsure_us)
                .into_iter()
                .map(move |one| (place, one))
                .collect::<Vec<_>>()
        };
        Self { each: PHASES.iter().enumerate().flat_map(sides).collect() }
    }

    /// Returns the index in [`PHASES`] of the phase that a second is certainly completely in.
    pub(crate) fn phase(&self, from: i64, until: i64) -> Option<usize> {
        self.each.iter().find(|(_, one)| one.holds(from, until)).map(|(place, _)| *place)
    }

    /// Whether a second may be partly in any phase.
    pub(crate) fn touches(&self, from: i64, until: i64) -> bool {
        self.each.iter().any(|(_, one)| one.touches(from, until))
    }
}

/// Returns the part of a bin that belongs to some stretches.
fn part<'s>(stretches: &[Stretch], pace: Option<Pace>, sample: &'s Sample) -> Part<'s> {
    let (from, until) = (sample.from_us, sample.until_us);
    if stretches.iter().any(|one| one.holds(from, until)) {
        return Part::Whole(sample);
    }
    if !stretches.iter().any(|one| one.touches(from, until)) {
        return Part::None;
    }
    let inside = |one: &Stretch| until.min(one.sure().end).saturating_sub(from.max(one.sure().start)).max(0);
    // The share of the bin's time that is certainly inside.
    let time = stretches.iter().map(inside).sum::<i64>() as f64 / until.saturating_sub(from).max(1) as f64;
    if let Some(all) = exact(sample, pace) {
        let (mut sure, mut near) = (Ends::default(), Ends::default());
        for (due, outcome) in all {
            if stretches.iter().any(|one| one.sure().contains(&due)) {
                sure.add(outcome);
            } else if stretches.iter().any(|one| one.perhaps().contains(&due)) {
                near.add(outcome);
            }
        }
        return Part::Cut(sample, Cut { sure, near, time });
    }
    match (sample.first_bad_us(), sample.last_bad_us()) {
        _ if sample.bad() == 0 => {
            if time > 0.0 {
                Part::Side(sample, time)
            } else {
                Part::None
            }
        }
        (Some(first), Some(last)) => {
            let holds = |range: std::ops::Range<i64>| range.contains(&first) && range.contains(&last);
            let misses = |range: std::ops::Range<i64>| last < range.start || range.end <= first;
            if stretches.iter().any(|one| holds(one.sure())) {
                Part::Side(sample, time)
            } else if stretches.iter().all(|one| misses(one.perhaps())) {
                Part::None
            } else {
                Part::Unsure(sample)
            }
        }
        _ => Part::Unsure(sample),
    }
}

impl Ends {
    /// Counts one request.
    fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Good => self.good += 1,
            Outcome::Bad => self.bad += 1,
            Outcome::Slipped => self.slipped += 1,
        }
    }
}
