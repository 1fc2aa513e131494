//! Latencies in cells: a scale on which each end is a hundredth above the one before, and counts on it.
//!
//! A value in a cell is shown as the cell's end: never less than the value, and at most 1 % more (a microsecond more below
//! 100 µs). Further ends, such as the limit of an objective, can be put between: the values up to such an end are counted
//! exactly.

use std::sync::Arc;

/// Each end is the one before and one of so many parts of it.
const PARTS: u64 = 100;
/// The last end, in microseconds: twelve days.
const LAST: u64 = 1 << 40;
/// Maximum number of further ends; it bounds the number of cells.
const MOST_CUTS: usize = 1000;

/// A scale of cells, each from the end of the one before up to its own end, in microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    ends: Vec<u64>,
    cuts: Vec<u64>,
}

impl Grid {
    /// Returns the scale with these ends besides its own, in microseconds.
    #[must_use]
    pub fn new(cuts: &[u64]) -> Self {
        let mut cuts: Vec<u64> = cuts.iter().copied().filter(|cut| (1..LAST).contains(cut)).collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts.truncate(MOST_CUTS);
        let own = std::iter::successors(Some(1), |end| Some(end + (end / PARTS).max(1)));
        let mut ends: Vec<u64> = own.take_while(|end| *end < LAST).chain([LAST]).collect();
        ends.extend(&cuts);
        ends.sort_unstable();
        ends.dedup();
        Self { ends, cuts }
    }

    /// Returns the ends that were put between the scale's own.
    #[must_use]
    pub fn cuts(&self) -> &[u64] {
        &self.cuts
    }

    /// Returns the cell of a time.
    #[must_use]
    pub fn cell(&self, us: u64) -> u16 {
        let place = self.ends.partition_point(|end| *end < us).min(self.ends.len() - 1);
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    /// Returns a cell's end; the last end for a cell that is not there.
    #[must_use]
    pub fn end(&self, cell: u16) -> u64 {
        self.ends.get(usize::from(cell)).copied().unwrap_or(LAST)
    }
}

/// Returns how many of some sorted cells end at `us` microseconds or before.
#[must_use]
pub fn at_most(cells: &[u16], grid: &Grid, us: u64) -> u64 {
    cells.partition_point(|cell| grid.end(*cell) <= us) as u64
}

/// Returns the rank, from 1 on, of a quantile among `all` values.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not below 1, and the cast saturates"
)]
#[must_use]
pub fn rank(quantile: f64, all: u64) -> u64 {
    (quantile.clamp(0.0, 1.0) * all as f64).ceil().max(1.0) as u64
}

/// Counted times on one scale.
#[derive(Clone, Debug)]
pub struct Counts {
    grid: Arc<Grid>,
    counts: Vec<u64>,
    total: u64,
}

impl Counts {
    /// Returns counts of no values.
    #[must_use]
    pub const fn new(grid: Arc<Grid>) -> Self {
        Self { grid, counts: Vec::new(), total: 0 }
    }

    /// Counts the values of some cells.
    pub fn add(&mut self, cells: &[u16]) {
        let Some(last) = cells.iter().max() else { return };
        let needed = usize::from(*last) + 1;
        if self.counts.len() < needed {
            self.counts.resize(needed, 0);
        }
        for cell in cells {
            self.counts[usize::from(*cell)] += 1;
        }
        self.total += cells.len() as u64;
    }

    /// Adds other counts on the same scale.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
            *sum += count;
        }
        self.total += other.total;
    }

    /// Returns the number of values.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Returns the value of a rank, from 1 on, among the sorted values; `None` for rank 0, and for ranks above the number of values.
    #[must_use]
    pub fn ranked(&self, rank: u64) -> Option<u64> {
        if rank == 0 || rank > self.total {
            return None;
        }
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(self.grid.end(u16::try_from(place).unwrap_or(u16::MAX)))
    }

    /// Returns the quantile over these values and `endless` more that never came. `None` if it is among the endless ones, or if there are
    /// no values.
    #[must_use]
    pub fn quantile(&self, quantile: f64, endless: u64) -> Option<u64> {
        self.ranked(rank(quantile, self.total.saturating_add(endless)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_at_most_a_limit_is_counted_exactly() {
        let grid = Grid::new(&[300_123]);
        let cells: Vec<u16> = [299_999, 300_123, 300_124, 301_000].map(|us| grid.cell(us)).to_vec();
        assert_eq!(at_most(&cells, &grid, 300_123), 2);
        assert_ne!(at_most(&cells, &Grid::new(&[]), 300_123), 2, "without the limit they share a cell");
        assert_eq!(grid.cuts(), [300_123]);
    }

    #[test]
    fn requests_without_an_answer_are_endless() {
        let mut fast = Counts::new(Arc::new(Grid::new(&[1000])));
        assert_eq!(fast.quantile(0.5, 0), None);
        fast.add(&[fast.grid.cell(1000); 98]);
        assert_eq!(fast.quantile(0.98, 2), Some(1000));
        assert_eq!(fast.quantile(0.99, 2), None);
        let mut twice = fast.clone();
        twice.merge(&fast);
        assert_eq!(
            (twice.total(), twice.ranked(0), twice.ranked(196), twice.ranked(197)),
            (196, None, Some(1000), None)
        );
    }

    proptest! {
        #[test]
        fn a_cell_ends_at_most_a_hundredth_above(us in 1_u64..LAST, cuts in proptest::collection::vec(1_u64..LAST, 0..5)) {
            let grid = Grid::new(&cuts);
            let end = grid.end(grid.cell(us));
            prop_assert!(us <= end && end <= us + (us / 100).max(1), "{us} {end}");
        }
    }
}
