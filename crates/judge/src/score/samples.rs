//! The measurements around one attack, second by second, in little memory. Latencies are kept one by one only where a
//! second lies across an edge of a phase, and single requests only where their outcomes differ. Sorts measurements;
//! judges nothing.

use std::{collections::BTreeMap, sync::Arc};

use firedrill_plan::plan::model::{COORDINATOR, Phase};
use firedrill_probe::{
    cells::{Counts, Grid, at_most, rank},
    requests::Outcome,
    seconds::{Lateness, Second, Stream},
};

use super::{part::Sides, phases::Phases};

/// All phases, in the order in which whole seconds' latencies are counted.
pub(crate) const PHASES: [Phase; 4] = [Phase::Baseline, Phase::Fault, Phase::Recovery, Phase::Settle];

/// Marks a missing latency.
const ENDLESS: u16 = u16::MAX;
/// Marks an unknown due time, if the second does not have its single requests.
const NOT_SINGLE: u32 = u32::MAX;
/// Marks the uncertainty of a clock that was never measured.
const NOT_KNOWN: i64 = -1;

/// One second at one vantage, prepared for judging.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
    due: u32,
    good: u32,
    bad: u32,
    slipped: u32,
    /// [`NOT_KNOWN`] if the clock was never measured.
    uncertainty_us: i64,
    /// The number of the first request, and its due time, or [`NOT_SINGLE`].
    first: u64,
    first_us: u32,
    start_boot_us: u64,
    boot: u16,
    p50: u16,
    p99: u16,
    /// Whether latencies could be read.
    pub(crate) readable: bool,
    /// Index of its counts of requests within limits.
    place: u32,
    detail: Option<Box<Detail>>,
}

/// Data that only few seconds have.
#[derive(Clone, Debug, Default)]
struct Detail {
    first_bad_us: Option<i64>,
    last_bad_us: Option<i64>,
    causes: BTreeMap<String, u64>,
    /// Outcomes of single requests; empty where all were good.
    ends: Vec<(Outcome, u32)>,
    lateness: Lateness,
    /// The latencies of a second across an edge.
    cells: Vec<u16>,
}

impl Sample {
    fn detail<T>(&self, get: impl FnOnce(&Detail) -> T) -> Option<T> {
        self.detail.as_deref().map(get)
    }

    pub(crate) fn due(&self) -> u64 {
        u64::from(self.due)
    }

    pub(crate) fn good(&self) -> u64 {
        u64::from(self.good)
    }

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

    pub(crate) fn lateness(&self) -> &Lateness {
        self.detail.as_deref().map_or(&Lateness::OnTime, |detail| &detail.lateness)
    }

    /// Returns the latencies, if the second lies across an edge.
    pub(crate) fn cells(&self) -> &[u16] {
        self.detail.as_deref().map_or(&[], |detail| &detail.cells)
    }

    /// The median and the 99th percentile of latency, as [`quantiles`] returns them.
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

/// Measurements of one probe at one vantage around an attack.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    pub(crate) grid: Arc<Grid>,
    /// In the order of time.
    pub(crate) all: Vec<Sample>,
    /// For each second and each limit on latency, how many good requests were within it.
    within: Vec<u32>,
    /// The boots of the vantage, and the newest second of each.
    boots: Vec<(String, u64)>,
    /// The latencies of seconds that are completely in one phase.
    whole: [Counts; 4],
}

impl Sight {
    fn new(grid: Arc<Grid>) -> Self {
        let whole = std::array::from_fn(|_| Counts::new(Arc::clone(&grid)));
        Self { grid, all: Vec::new(), within: Vec::new(), boots: Vec::new(), whole }
    }

    /// Returns the number of a second's good requests that took at most `limit_us`, which is a limit of an objective.
    pub(crate) fn within(&self, sample: &Sample, limit_us: u64) -> u64 {
        let cuts = self.grid.cuts();
        let Ok(cut) = cuts.binary_search(&limit_us) else {
            // No latency is above the last cell. Any other limit was not counted, so no request is known to be within
            // it.
            let all = sample.readable && limit_us >= self.grid.end(u16::MAX);
            return if all { sample.good() } else { 0 };
        };
        let place = usize::try_from(sample.place).unwrap_or(usize::MAX);
        self.within
            .get(place.saturating_mul(cuts.len()).saturating_add(cut))
            .map_or(0, |count| u64::from(*count))
    }

    /// Returns the latencies of the seconds that are completely in one phase.
    pub(crate) fn whole(&self, phase: Phase) -> &Counts {
        &self.whole[PHASES.iter().position(|one| *one == phase).unwrap_or(0)]
    }

    fn take(&mut self, second: &Second, boot: u16, uncertainty_us: Option<i64>, sides: &Sides) {
        let signed = |us: u64| i64::try_from(us).unwrap_or(i64::MAX / 8);
        let until_us = second.start_us.saturating_add(signed(second.length_us));
        let after = |us: Option<u64>| us.map(|us| second.start_us.saturating_add(signed(us)));
        // A second never has so many requests. Counts are capped so that sums over a run cannot overflow on a damaged
        // log.
        let sane = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let lost = second.due.saturating_sub(second.good.saturating_add(second.bad));
        let mut detail = Detail {
            first_bad_us: after(second.first_bad_us),
            last_bad_us: after(second.last_bad_us),
            causes: second.causes.clone(),
            ends: second.single.as_ref().map_or_else(Vec::new, |single| single.ends.clone()),
            lateness: second.lateness.clone(),
            cells: Vec::new(),
        };
        let cells = second.latencies.as_deref().unwrap_or_default();
        match sides.phase(second.start_us, until_us) {
            _ if uncertainty_us.is_none() => {}
            Some(place) => self.whole[place].add(cells),
            None if sides.touches(second.start_us, until_us) => detail.cells = cells.to_vec(),
            None => {}
        }
        let has_detail = second.bad > 0
            || !detail.ends.is_empty()
            || !detail.cells.is_empty()
            || detail.lateness != Lateness::OnTime;
        let (p50, p99) = quantiles(second);
        let place = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let counted = self.grid.cuts().iter().map(|cut| sane(at_most(cells, &self.grid, *cut)));
        self.within.extend(counted);
        self.all.push(Sample {
            from_us: second.start_us,
            until_us,
            due: sane(second.due),
            good: sane(second.good),
            bad: sane(second.bad),
            // A request that was due and has no outcome in the bin was lost by the vantage.
            slipped: sane(second.slipped.max(lost)),
            uncertainty_us: uncertainty_us.map_or(NOT_KNOWN, |us| us.max(0)),
            first: second.single.as_ref().map_or(0, |single| single.first),
            first_us: second.single.as_ref().map_or(NOT_SINGLE, |single| sane(single.first_us)),
            start_boot_us: second.start_boot_us,
            boot,
            p50,
            p99,
            readable: second.latencies.is_some(),
            place,
            detail: has_detail.then(|| Box::new(detail)),
        });
    }

    /// Whether a second is new: a bin that was read twice counts once.
    fn is_new(&mut self, second: &Second, boot: u16) -> bool {
        let Some((_, newest)) = self.boots.get_mut(usize::from(boot)) else { return false };
        // Seconds arrive in order, except for late ones.
        let there = second.start_boot_us <= *newest
            && self.all.iter().any(|one| one.boot == boot && one.start_boot_us == second.start_boot_us);
        *newest = second.start_boot_us.max(*newest);
        !there
    }
}

/// Collects the measurements around one attack.
#[derive(Debug)]
pub(crate) struct Samples<'a> {
    phases: &'a Phases,
    from_us: i64,
    until_us: i64,
    sights: BTreeMap<(String, String), Sight>,
}

impl<'a> Samples<'a> {
    /// Creates an empty collection for an attack with these phases. `unsure_us` is the largest error of any clock.
    pub(crate) fn new(phases: &'a Phases, unsure_us: i64) -> Self {
        /// More than a second, which may begin before an attack and end in it.
        const AROUND_US: i64 = 2_000_000;
        let begins = phases.all.iter().map(|span| span.from_us).chain(phases.fault_us);
        let ends = phases.all.iter().map(|span| span.until_us).chain(phases.healed_us);
        let around = AROUND_US.saturating_add(unsure_us).saturating_add(phases.uncertainty_us);
        Self {
            phases,
            from_us: begins.min().map_or(i64::MAX, |from| from.saturating_sub(around)),
            until_us: ends.max().map_or(i64::MIN, |until| until.saturating_add(around)),
            sights: BTreeMap::new(),
        }
    }

    /// Whether measurements between two moments may matter to the attack.
    pub(crate) const fn overlaps(&self, from_us: i64, until_us: i64) -> bool {
        self.from_us <= until_us && from_us <= self.until_us
    }

    /// Time after which measurements do not matter to the attack, in microseconds.
    pub(crate) const fn until_us(&self) -> i64 {
        self.until_us
    }

    /// Adds a stream of one block of the log.
    pub(crate) fn take(&mut self, stream: &Stream, grid: &Arc<Grid>, uncertainty_us: Option<i64>) {
        let signed = |us: u64| i64::try_from(us).unwrap_or(i64::MAX / 8);
        let inside = |second: &&Second| {
            second.start_us <= self.until_us
                && second.start_us.saturating_add(signed(second.length_us)) >= self.from_us
        };
        let mut inside = stream.seconds.iter().filter(inside).peekable();
        if inside.peek().is_none() {
            return;
        }
        let key = (stream.probe.clone(), stream.vantage.clone());
        let sight = self.sights.entry(key).or_insert_with(|| Sight::new(Arc::clone(grid)));
        let known = sight.boots.iter().position(|(boot, _)| *boot == stream.boot_id);
        let boot = known.unwrap_or_else(|| {
            sight.boots.push((stream.boot_id.clone(), 0));
            sight.boots.len() - 1
        });
        let boot = u16::try_from(boot).unwrap_or(u16::MAX);
        let sides = Sides::of(self.phases, uncertainty_us.unwrap_or(0));
        for second in inside {
            if sight.is_new(second, boot) {
                sight.take(second, boot, uncertainty_us, &sides);
            }
        }
    }

    /// Sorts everything by time.
    pub(crate) fn close(&mut self) {
        for sight in self.sights.values_mut() {
            sight.all.sort_by_key(|sample| sample.from_us);
        }
    }

    /// Frees everything.
    pub(crate) fn forget(&mut self) {
        self.sights.clear();
    }

    /// Returns a probe's measurements at a vantage.
    pub(crate) fn get(&self, probe: &str, vantage: &str) -> Option<&Sight> {
        self.sights.get(&(probe.to_owned(), vantage.to_owned()))
    }
}

/// Returns the uncertainty of a vantage's clock; `clock` returns that of a host.
pub(crate) fn uncertainty(vantage: &str, clock: Option<i64>) -> Option<i64> {
    if vantage == COORDINATOR { Some(0) } else { clock }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_limit_above_the_last_cell_is_kept_by_all() {
        let grid = Arc::new(Grid::new(&[5_000, 300_000]));
        let last = grid.end(u16::MAX);
        let mut stream = Stream::default();
        stream.push(&crate::testing::bin("buy", 0, 2, 0), 0, &grid, None);
        let mut sight = Sight::new(Arc::clone(&grid));
        sight.take(&stream.seconds[0], 0, Some(0), &Sides::of(&Phases::default(), 0));
        let within = |limit_us| sight.within(&sight.all[0], limit_us);
        assert_eq!([5_000, 300_000, last, u64::MAX].map(within), [0, 2, 2, 2]);
        // Limits outside of the scale were not counted.
        assert_eq!([0, 500_000, last - 1].map(within), [0, 0, 0]);
    }
}
