//! Points: the answers of sources for single moments.

use std::collections::BTreeMap;

/// The answer of a source for one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The moment, in microseconds since 1970 by the source's clock.
    pub at_us: i64,
    /// The lowest value among all series; `NaN` if it is not known.
    pub low: f64,
    /// The highest value among all series; `NaN` if it is not known.
    pub high: f64,
    /// Number of series that have a value for the moment.
    pub series: u32,
    /// Number of series that have a value at any moment of the time that was asked for.
    pub lists: u32,
    /// Whether a series had `NaN` as its value.
    pub nan: bool,
    /// Whether a series had several different values for the moment.
    pub mixed: bool,
    /// The reason why the value is not complete; `None` if it is. The truth lies between `low` and `high` all the same.
    pub lacks: Option<Lacks>,
    /// The bounds of the truth if the value is an estimate, because only a share of all events was sent; `None` if it is exact.
    pub sampled: Option<(f64, f64)>,
}

/// The reason why a listener's value is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacks {
    /// The kernel dropped this many packets.
    Dropped(u64),
    /// This many lines of the metric could not be read.
    Unreadable(u64),
    /// This many lines of the metric were read after the value had been given out.
    Late(u64),
    /// There are more series, or more distinct values, than are kept.
    TooMany,
    /// All senders of the metric were silent for so long that they may be dead.
    Silent,
    /// The metric is of another type than the query reads.
    OtherForm,
    /// A gauge was only changed and never set, so its value is not known.
    OnlyChanges,
    /// Only a share of the events was sent, and the others could change the value.
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
    /// Returns a point of one series.
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

    /// Returns a point of one series whose value lies between two bounds. A bound that is not known is `NaN`.
    pub(crate) const fn between(at_us: i64, low: f64, high: f64) -> Self {
        Self { low, high, nan: false, ..Self::of(at_us, 0.0) }
    }
}

/// Merges the points of several series into one for each moment, in the order of time. Each series is a list.
#[must_use]
pub fn merged(series: impl IntoIterator<Item = Vec<Point>>) -> Vec<Point> {
    let mut by_time: BTreeMap<i64, Point> = BTreeMap::new();
    for list in series {
        let mut of_series: BTreeMap<i64, Point> = BTreeMap::new();
        for point in list {
            let moment = of_series.entry(point.at_us).or_insert(point);
            moment.widen(&point);
            moment.mixed |= moment.low < moment.high;
        }
        for (at_us, point) in of_series {
            let moment = by_time.entry(at_us).or_insert(Point { series: 0, lists: 0, ..point });
            moment.widen(&point);
            moment.series = moment.series.saturating_add(1);
            moment.lists = moment.series;
            moment.mixed |= point.mixed;
        }
    }
    by_time.into_values().collect()
}

/// Merges the points of several series that need not have the same moments. A series counts as present for `far_us` microseconds after
/// each of its points. A longer gap shows that a point is missing. Then the series counts as absent until its second point after the gap.
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
    let is_present = |times: &Vec<i64>, at_us: i64| {
        let after = times.partition_point(|time| *time <= at_us);
        let gap = |from: usize, until_us: i64| {
            times.get(from).is_some_and(|from_us| until_us.saturating_sub(*from_us) > far_us)
        };
        let Some(last) = after.checked_sub(1) else { return false };
        !gap(last, at_us) && !last.checked_sub(1).is_some_and(|before| gap(before, times[last]))
    };
    let lists = count(times.len());
    let mut points = merged(series);
    for point in &mut points {
        let present = times.iter().filter(|times| is_present(times, point.at_us)).count();
        (point.series, point.lists) = (count(present).max(1), lists);
    }
    points
}

/// Converts a number of series. One that is too large becomes the maximum.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Point {
    /// Widens the bounds so that they include those of `other`.
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
        let series = [
            vec![Point::of(2, 5.0), Point::of(1, 1.0)],
            vec![Point::of(1, f64::NAN)],
            vec![Point::of(1, 3.0)],
        ];
        let points = merged(series);
        assert_eq!((points[0].low, points[0].high, points[0].series, points[0].nan), (1.0, 3.0, 3, true));
        assert_eq!((points[1].at_us, points[1].series, points[1].nan, points[1].mixed), (2, 1, false, false));
    }

    #[test]
    fn series_of_unlike_moments_are_present_until_their_next_point_is_overdue() {
        let points = |times: &[i64]| times.iter().map(|at_us| Point::of(*at_us, 1.0)).collect::<Vec<_>>();
        let series = |lists: &[&[i64]]| -> Vec<(i64, u32, u32)> {
            let merged = merged_apart(lists.iter().map(|times| points(times)).collect(), 15);
            merged.iter().map(|point| (point.at_us, point.series, point.lists)).collect()
        };
        assert_eq!(
            series(&[&[0, 10, 20], &[5, 15]]),
            [(0, 1, 2), (5, 2, 2), (10, 2, 2), (15, 2, 2), (20, 2, 2)]
        );
        // The second series ends.
        assert_eq!(series(&[&[10, 20, 30], &[5]]), [(5, 1, 2), (10, 2, 2), (20, 2, 2), (30, 1, 2)]);
        // The second series lacks a point, which shows at its next one.
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
