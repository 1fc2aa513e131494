//! One second at one vantage, in little memory: counts, and what only few seconds have. Judges nothing.

use std::collections::BTreeMap;

use firedrill_plan::plan::model::Phase;
use firedrill_probe::{
    cells::{Grid, rank},
    requests::Outcome,
    seconds::{Lateness, Second},
};

/// All phases, in the order in which whole seconds' latencies are counted.
pub(crate) const PHASES: [Phase; 4] = [Phase::Baseline, Phase::Fault, Phase::Recovery, Phase::Settle];

/// Marks a missing latency.
const ENDLESS: u16 = u16::MAX;
/// Marks an unknown due time, if the second does not have its single requests.
pub(super) const NOT_SINGLE: u32 = u32::MAX;
/// Marks the uncertainty of a clock that was never measured.
pub(super) const NOT_KNOWN: i64 = -1;

/// One second at one vantage, prepared for judging.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
    pub(super) due: u32,
    pub(super) good: u32,
    pub(super) bad: u32,
    pub(super) slipped: u32,
    /// [`NOT_KNOWN`] if the clock was never measured.
    pub(super) uncertainty_us: i64,
    /// The number of the first request in the schedule of its vantage.
    pub(super) first: u64,
    /// The due time of the first request after the start, in microseconds; [`NOT_SINGLE`] without single requests.
    pub(super) first_us: u32,
    pub(super) start_boot_us: u64,
    pub(super) boot: u16,
    pub(super) p50: u16,
    pub(super) p99: u16,
    /// Whether latencies could be read.
    pub(crate) readable: bool,
    /// Index of its counts of requests within limits.
    pub(super) place: u32,
    pub(super) detail: Option<Box<Detail>>,
}

/// Data that only few seconds have.
#[derive(Clone, Debug, Default)]
pub(super) struct Detail {
    pub(super) first_bad_us: Option<i64>,
    pub(super) last_bad_us: Option<i64>,
    pub(super) causes: BTreeMap<String, u64>,
    /// Outcomes of single requests; empty where all were good.
    pub(super) ends: Vec<(Outcome, u32)>,
    pub(super) lateness: Lateness,
    /// The latencies of a second across an edge.
    pub(super) cells: Vec<u16>,
}

impl Sample {
    fn detail<T>(&self, get: impl FnOnce(&Detail) -> T) -> Option<T> {
        self.detail.as_deref().map(get)
    }

    /// Returns the number of requests that were due.
    pub(crate) fn due(&self) -> u64 {
        u64::from(self.due)
    }

    /// Returns the number of good requests.
    pub(crate) fn good(&self) -> u64 {
        u64::from(self.good)
    }

    /// Returns the number of bad requests.
    pub(crate) fn bad(&self) -> u64 {
        u64::from(self.bad)
    }

    /// Returns the number of slipped requests, which are neither good nor bad: the vantage did not send or time them.
    pub(crate) fn slipped(&self) -> u64 {
        u64::from(self.slipped)
    }

    /// Returns the uncertainty of the vantage's clock; `None` if it was never measured.
    pub(crate) fn uncertainty_us(&self) -> Option<i64> {
        (self.uncertainty_us != NOT_KNOWN).then_some(self.uncertainty_us)
    }

    pub(crate) fn first_bad_us(&self) -> Option<i64> {
        self.detail(|detail| detail.first_bad_us).flatten()
    }

    pub(crate) fn last_bad_us(&self) -> Option<i64> {
        self.detail(|detail| detail.last_bad_us).flatten()
    }

    /// Returns the causes of bad requests, each with its count.
    pub(crate) fn causes(&self) -> impl Iterator<Item = (&String, &u64)> {
        self.detail.iter().flat_map(|detail| &detail.causes)
    }

    /// Returns the number of the first request, and its due time in microseconds after the start.
    pub(crate) fn single(&self) -> Option<(u64, u64)> {
        (self.first_us != NOT_SINGLE).then_some((self.first, u64::from(self.first_us)))
    }

    /// Returns the outcomes of single requests, in runs; empty if all were good.
    pub(crate) fn ends(&self) -> &[(Outcome, u32)] {
        self.detail.as_deref().map_or(&[], |detail| &detail.ends)
    }

    /// Returns the lateness of the requests; on time if the sample has no details.
    pub(crate) fn lateness(&self) -> &Lateness {
        self.detail.as_deref().map_or(&Lateness::OnTime, |detail| &detail.lateness)
    }

    /// Returns the latencies, if the second lies across an edge.
    pub(crate) fn cells(&self) -> &[u16] {
        self.detail.as_deref().map_or(&[], |detail| &detail.cells)
    }

    /// Returns the median and the 99th percentile of latency, as [`quantiles`] returns them.
    pub(crate) const fn quantiles(&self) -> (u16, u16) {
        (self.p50, self.p99)
    }
}

/// Returns the cells of a second's median and 99th percentile, with bad requests last; [`u16::MAX`] for one without
/// an answer, or without latencies.
pub(crate) fn quantiles(second: &Second) -> (u16, u16) {
    let cells = second.latencies.as_deref().unwrap_or_default();
    let all = (cells.len() as u64).saturating_add(second.bad);
    let at = |quantile: f64| {
        let place = usize::try_from(rank(quantile, all) - 1).unwrap_or(usize::MAX);
        cells.get(place).copied().unwrap_or(ENDLESS)
    };
    (at(0.5), at(0.99))
}

/// Returns the value of a cell of [`quantiles`], in microseconds; `None` for one without an answer.
pub(crate) fn quantile_us(grid: &Grid, cell: u16) -> Option<u64> {
    (cell != ENDLESS).then(|| grid.end(cell))
}
