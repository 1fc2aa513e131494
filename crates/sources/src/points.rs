//! Points of answers: what a source says of one moment.

use std::collections::BTreeMap;

/// What a source says of one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The moment, in microseconds since 1970 by the source's clock.
    pub at_us: i64,
    /// The lowest value of all series.
    pub low: f64,
    /// The highest value of all series.
    pub high: f64,
    /// Number of series.
    pub series: u32,
    /// Whether a series had no number (`NaN`).
    pub nan: bool,
}

/// What is behind the values of one moment.
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
        Self { at_us, low: value, high: value, series: 1, nan: value.is_nan() }
    }
}

/// Merges the points of several series, in the order of time.
#[must_use]
pub fn merged(all: impl IntoIterator<Item = Point>) -> Vec<Point> {
    let mut by_time: BTreeMap<i64, Point> = BTreeMap::new();
    for point in all {
        by_time
            .entry(point.at_us)
            .and_modify(|one| {
                one.low = one.low.min(point.low);
                one.high = one.high.max(point.high);
                one.series = one.series.saturating_add(point.series);
                one.nan |= point.nan;
            })
            .or_insert(point);
    }
    by_time.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_share_a_point_at_each_moment() {
        let all = [Point::of(2, 5.0), Point::of(1, 1.0), Point::of(1, f64::NAN), Point::of(1, 3.0)];
        let points = merged(all);
        assert_eq!((points[0].low, points[0].high, points[0].series, points[0].nan), (1.0, 3.0, 3, true));
        assert_eq!((points[1].at_us, points[1].series, points[1].nan), (2, 1, false));
    }
}
