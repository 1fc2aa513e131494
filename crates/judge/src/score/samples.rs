//! The measurements around one attack, second by second, in little memory. Latencies are kept one by one only where a
//! second lies across an edge of a phase, and single requests only where their outcomes differ. Sorts measurements;
//! judges nothing.

use std::{collections::BTreeMap, sync::Arc};

use firedrill_plan::plan::model::{COORDINATOR, Phase};
use firedrill_probe::{
    cells::{Counts, Grid, at_most},
    seconds::{Lateness, Second, Stream},
};

use super::{
    part::Sides,
    phases::Phases,
    sample::{Detail, NOT_KNOWN, NOT_SINGLE, PHASES, Sample, quantiles},
};

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

    /// Adds a second. `boot` is the index of its boot.
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
        // Seconds arrive in order, except for late ones. Only a late one is searched.
        let is_known = second.start_boot_us <= *newest
            && self.all.iter().any(|one| one.boot == boot && one.start_boot_us == second.start_boot_us);
        *newest = second.start_boot_us.max(*newest);
        !is_known
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
