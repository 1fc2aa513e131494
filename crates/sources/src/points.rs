//! Points: the answers of sources for single moments.

use std::collections::BTreeMap;

/// The answer of a source for one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The moment, in microseconds since 1970 by the source's clock.
    pub at_us: i64,
    /// The lowest value of all series.
    pub low: f64,
    /// The highest value of all series.
    pub high: f64,
    /// Number of series that have a value for the moment.
    pub series: u32,
    /// Number of series that have any value in the asked time.
    pub lists: u32,
    /// Whether a series had no number (`NaN`).
    pub nan: bool,
    /// Whether a series had several values for the moment.
    pub mixed: bool,
    /// The reason why the value is not whole. Its bounds are true all the same, and one that is not known is `NaN`.
    pub lacks: Option<Lacks>,
    /// The bounds of the truth where the value is an estimate, because only a share of all events was sent.
    pub sampled: Option<(f64, f64)>,
}

/// Why a value that a listener has is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacks {
    /// The kernel dropped packets, this many.
    Dropped(u64),
    /// Lines of it could not be read, this many.
    Unreadable(u64),
    /// Lines of it were read after the value had been told, this many.
    Late(u64),
    /// There are more series, or different values, than are kept.
    TooMany,
    /// All of its senders were silent for so long that they may be dead.
    Silent,
    /// It is of another type than what is asked.
    OtherForm,
    /// The value of a gauge is not known.
    OnlyChanges,
    /// Only a share of its events was sent, and the others may decide.
    Sampled,
}

/// The data behind the values of one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Behind {
    /// The moment, in microseconds since 1970 by the source's clock.
    pub at_us: i64,
    /// The age of the oldest series, in seconds; `None` if there is no series.
    pub age: Option<f64>,
    /// Number of series of each selector of the queries.
    pub series: Vec<u32>,
}

impl Point {
    /// A point of one series.
    #[must_use]
    pub const fn of(at_us: i64, value: f64) -> Self {
        Self {
            at_us,
            low: value,
            high: value,
            series: 1,
            lists: 1,
            nan: value.is_nan(),
            mixed: false,
            lacks: None,
            sampled: None,
        }
    }

    /// A point of one series between two bounds, of which one that is not known is `NaN`.
    pub(crate) const fn between(at_us: i64, low: f64, high: f64) -> Self {
        Self { low, high, nan: false, ..Self::of(at_us, 0.0) }
    }
}

/// Merges the points of several series, each a list, in the order of time.
#[must_use]
pub fn merged(series: impl IntoIterator<Item = Vec<Point>>) -> Vec<Point> {
    let mut by_time: BTreeMap<i64, Point> = BTreeMap::new();
    for list in series {
        let mut own: BTreeMap<i64, Point> = BTreeMap::new();
        for point in list {
            let one = own.entry(point.at_us).or_insert(point);
            one.widen(&point);
            one.mixed |= one.low < one.high;
        }
        for (at_us, point) in own {
            let one = by_time.entry(at_us).or_insert(Point { series: 0, lists: 0, ..point });
            one.widen(&point);
            one.series = one.series.saturating_add(1);
            one.lists = one.series;
            one.mixed |= point.mixed;
        }
    }
    by_time.into_values().collect()
}

/// Merges the points of several series whose moments are their own, and need not be the same. A series is there from each of its points
/// on, for `far_us`; it is not where it has a gap that is longer, up to the point after the one that ends it.
#[must_use]
pub(crate) fn merged_apart(series: Vec<Vec<Point>>, far_us: i64) -> Vec<Point> {
    let mut times: Vec<Vec<i64>> = series
        .iter()
        .map(|list| {
            let mut times: Vec<i64> = list.iter().map(|point| point.at_us).collect();
            times.sort_unstable();
            times.dedup();
            times
        })
        .collect();
    times.retain(|times| !times.is_empty());
    let near = |times: &Vec<i64>, at_us: i64| {
        let after = times.partition_point(|time| *time <= at_us);
        let gap = |from: usize, until_us: i64| {
            times.get(from).is_some_and(|from_us| until_us.saturating_sub(*from_us) > far_us)
        };
        let Some(last) = after.checked_sub(1) else { return false };
        !gap(last, at_us) && !last.checked_sub(1).is_some_and(|before| gap(before, times[last]))
    };
    let lists = count(times.len());
    let mut all = merged(series);
    for point in &mut all {
        let there = times.iter().filter(|times| near(times, point.at_us)).count();
        (point.series, point.lists) = (count(there).max(1), lists);
    }
    all
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Point {
    fn widen(&mut self, other: &Self) {
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
        self.nan |= other.nan;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_share_a_point_at_each_moment() {
        let all = [
            vec![Point::of(2, 5.0), Point::of(1, 1.0)],
            vec![Point::of(1, f64::NAN)],
            vec![Point::of(1, 3.0)],
        ];
        let points = merged(all);
        assert_eq!((points[0].low, points[0].high, points[0].series, points[0].nan), (1.0, 3.0, 3, true));
        assert_eq!((points[1].at_us, points[1].series, points[1].nan, points[1].mixed), (2, 1, false, false));
    }

    #[test]
    fn series_of_unlike_moments_are_there_until_their_next_point_is_overdue() {
        let of = |times: &[i64]| times.iter().map(|at_us| Point::of(*at_us, 1.0)).collect::<Vec<_>>();
        let series = |lists: &[&[i64]]| -> Vec<(i64, u32, u32)> {
            let all = merged_apart(lists.iter().map(|times| of(times)).collect(), 15);
            all.iter().map(|one| (one.at_us, one.series, one.lists)).collect()
        };
        assert_eq!(
            series(&[&[0, 10, 20], &[5, 15]]),
            [(0, 1, 2), (5, 2, 2), (10, 2, 2), (15, 2, 2), (20, 2, 2)]
        );
        // One ends.
        assert_eq!(series(&[&[10, 20, 30], &[5]]), [(5, 1, 2), (10, 2, 2), (20, 2, 2), (30, 1, 2)]);
        // One lacks a point; the moment after that tells.
        assert_eq!(
            series(&[&[0, 10, 20, 30], &[0, 20, 30]]),
            [(0, 2, 2), (10, 2, 2), (20, 1, 2), (30, 2, 2)]
        );
        assert_eq!(series(&[&[0, 90], &[]]), [(0, 1, 1), (90, 1, 1)]);
    }

    #[test]
    fn points_of_one_list_are_one_series() {
        let [same, other] =
            merged([vec![Point::of(1, 3.0), Point::of(1, 3.0), Point::of(2, 1.0), Point::of(2, 4.0)]])
                .try_into()
                .expect("two moments");
        assert_eq!((same.series, same.mixed), (1, false));
        assert_eq!((other.series, other.low, other.high, other.mixed), (1, 1.0, 4.0, true));
    }
}
