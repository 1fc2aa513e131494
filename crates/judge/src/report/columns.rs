//! A vantage's measurements in columns of time. A column shows the worst of its seconds, so that a coarse chart hides
//! no outage. Seconds may be added in any order; only the columns are kept.

use std::hash::{Hash, Hasher};

use super::steps::Steps;

/// Minimum length of a gap without measurements that is shown, in microseconds. It is longer than a bin of one second, because the
/// first bin does not begin exactly at the start of the chart.
const HOLE_US: i64 = 1_200_000;

/// A second, reduced to the values that are drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
    pub(crate) good: u64,
    pub(crate) bad: u64,
    /// The median of the latencies, in microseconds; `None` if infinite.
    pub(crate) p50: Option<u64>,
    /// The 99th percentile of the latencies, in microseconds; `None` if infinite.
    pub(crate) p99: Option<u64>,
}

/// The worst values of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dot {
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
    /// The lowest share of good requests, from 0 to 1.
    pub(crate) share: f64,
    /// The highest percentiles; as in [`Point`].
    pub(crate) p50: Option<u64>,
    pub(crate) p99: Option<u64>,
}

// A share is never NaN and never −0.
impl Eq for Dot {}

impl Hash for Dot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.from_us, self.until_us, self.share.to_bits(), self.p50, self.p99).hash(state);
    }
}

/// Columns of equal width.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Columns {
    steps: Steps,
    /// The first element collects the seconds from before the chart. The columns follow.
    dots: Vec<Option<Dot>>,
    /// Beginnings and ends of times with measurements, in order. Times with a gap shorter than [`HOLE_US`] between them are merged.
    covered: Vec<(i64, i64)>,
}

impl Columns {
    /// Creates at most `most` columns between two moments. The width of a column is a whole number of seconds.
    pub(crate) fn new(from_us: i64, until_us: i64, most: usize) -> Self {
        Self { steps: Steps::new(from_us, until_us, most), dots: Vec::new(), covered: Vec::new() }
    }

    /// Returns the duration of a column, in microseconds.
    pub(crate) const fn step_us(&self) -> i64 {
        self.steps.step_us
    }

    /// Adds the values of a second. A second outside of the chart is ignored.
    pub(crate) fn put(&mut self, point: Point) {
        if point.until_us <= self.steps.from_us || point.from_us >= self.steps.until_us {
            return;
        }
        self.cover(point.from_us, point.until_us);
        if point.good.saturating_add(point.bad) == 0 {
            return;
        }
        let dot = Dot {
            from_us: point.from_us,
            until_us: point.until_us,
            share: point.good as f64 / point.good.saturating_add(point.bad) as f64,
            p50: point.p50,
            p99: point.p99,
        };
        // Element 0 is for a second that begins before the chart.
        let column = self.steps.place(point.from_us).max(-1);
        self.mark(usize::try_from(column + 1).unwrap_or(0), dot);
    }

    /// Merges a dot into the element `place` of [`Self::dots`]: the worst values remain.
    fn mark(&mut self, place: usize, dot: Dot) {
        if self.dots.len() <= place {
            self.dots.resize(place + 1, None);
        }
        // `None` is infinite, which is worse than any time.
        let worse = |one: Option<u64>, other: Option<u64>| one.zip(other).map(|(one, other)| one.max(other));
        self.dots[place] = Some(self.dots[place].map_or(dot, |there| Dot {
            from_us: there.from_us.min(dot.from_us),
            until_us: there.until_us.max(dot.until_us),
            share: there.share.min(dot.share),
            p50: worse(there.p50, dot.p50),
            p99: worse(there.p99, dot.p99),
        }));
    }

    /// Adds a time with measurements, and merges it with its neighbours if the gap to them is too short to be shown.
    fn cover(&mut self, from: i64, until: i64) {
        let place = self.covered.partition_point(|(_, end)| end.saturating_add(HOLE_US) <= from);
        let Some(first) = self.covered.get(place).filter(|(begin, _)| begin.saturating_sub(until) < HOLE_US)
        else {
            return self.covered.insert(place, (from, until));
        };
        let (mut begin, mut end) = (first.0.min(from), first.1.max(until));
        let mut last = place + 1;
        while let Some(next) = self.covered.get(last).filter(|next| next.0.saturating_sub(end) < HOLE_US) {
            (begin, end, last) = (begin.min(next.0), end.max(next.1), last + 1);
        }
        self.covered.splice(place..last, [(begin, end)]);
    }

    /// Returns the columns with measurements, in order.
    pub(crate) fn dots(&self) -> impl Iterator<Item = &Dot> {
        self.dots.iter().flatten()
    }

    /// Returns the beginning of the first column, in microseconds, and all columns; `None` for a column without measurements.
    /// Seconds from before the chart are left out.
    pub(crate) fn table(&self) -> (i64, impl Iterator<Item = Option<&Dot>>) {
        let columns = self.dots.iter().skip(1);
        let shift = columns.clone().flatten().next().map_or(0, |dot| self.steps.shift_us(dot.from_us));
        (self.steps.from_us.saturating_add(shift), columns.map(Option::as_ref))
    }

    /// Returns the beginnings and ends of the times without measurements.
    pub(crate) fn missing(&self) -> Vec<(i64, i64)> {
        let mut missing = Vec::new();
        let mut covered = self.steps.from_us;
        for (from, until) in &self.covered {
            missing.push((covered, *from));
            covered = covered.max(*until);
        }
        missing.push((covered, self.steps.until_us));
        missing.retain(|(from, until)| until.saturating_sub(*from) >= HOLE_US);
        missing
    }

    /// Merges the columns of several vantages, which have the same steps. Each column has the worst values of all; a gap of any vantage
    /// is a gap of the result. `None` if `all` is empty.
    pub(crate) fn worst(all: &[&Self]) -> Option<Self> {
        let (first, rest) = all.split_first()?;
        let mut worst = Self { covered: Vec::new(), ..(*first).clone() };
        for other in rest {
            for (place, dot) in other.dots.iter().enumerate() {
                if let Some(dot) = dot {
                    worst.mark(place, *dot);
                }
            }
        }
        let mut holes: Vec<(i64, i64)> = all.iter().flat_map(|one| one.missing()).collect();
        holes.sort_unstable();
        let mut covered = worst.steps.from_us;
        for (from, until) in holes {
            if from > covered {
                worst.covered.push((covered, from));
            }
            covered = covered.max(until);
        }
        if covered < worst.steps.until_us {
            worst.covered.push((covered, worst.steps.until_us));
        }
        Some(worst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    fn point(second: i64, good: u64, bad: u64) -> Point {
        let p99 = (bad == 0).then_some(9_000);
        Point { from_us: second * S, until_us: (second + 1) * S, good, bad, p50: Some(5_000), p99 }
    }

    #[test]
    fn a_column_shows_its_worst_second() {
        let mut hours = Columns::new(0, 8 * 3600 * S, 100);
        assert_eq!(hours.step_us(), 288 * S);
        (0..8 * 3600).rev().for_each(|second| hours.put(point(second, 100, u64::from(second == 10_000))));
        let low: Vec<&Dot> = hours.dots().filter(|dot| dot.share < 1.0).collect();
        let [only] = low.as_slice() else { panic!("{low:?}") };
        assert!(only.from_us <= 10_000 * S && only.until_us > 10_000 * S && only.p99.is_none(), "{only:?}");
        assert_eq!(hours.dots().count(), 100);
        assert!(hours.missing().is_empty(), "{:?}", hours.missing());
    }

    #[test]
    fn gaps_shorter_than_a_column_are_kept() {
        let mut one = Columns::new(0, 1000 * S, 10);
        (0..1000)
            .filter(|second| !(500..503).contains(second))
            .for_each(|second| one.put(point(second, 1, 0)));
        assert_eq!(one.missing(), [(500 * S, 503 * S)]);
        let mut other = Columns::new(0, 1000 * S, 10);
        (0..990).for_each(|second| other.put(point(second, 1, u64::from(second == 3))));
        let worst = Columns::worst(&[&one, &other]).expect("two");
        assert_eq!(worst.missing(), [(500 * S, 503 * S), (990 * S, 1000 * S)]);
        assert!(worst.dots().next().is_some_and(|dot| dot.share < 1.0));
        assert_eq!(Columns::new(i64::MIN, i64::MAX, 7).missing().len(), 1);
    }
}
