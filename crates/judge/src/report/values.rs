//! The values of a page's charts, as JSON in the page: for the cursor, and for zooming in. If the run is short enough, each second has its
//! values; otherwise a step has the worst values of its seconds, as in the charts.

use serde::Serialize;

use super::{
    chart::{Line, rates::RateLine},
    columns::Columns,
    rates::{Doubt, Rate},
};
use crate::score::{card::Unit, metric_card::PointCard};

/// The values of one chart of the run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Panel {
    /// The probe.
    name: String,
    lines: Vec<Values>,
}

/// The values of one line. Each list has an element for each step from `from`; `null` for a step without measurements.
#[derive(Clone, Debug, Serialize)]
struct Values {
    /// The vantage, or `the worst of 5 others`.
    name: String,
    /// Whether it counts for verdicts.
    counts: bool,
    /// Beginning of the first step, in milliseconds on the run's clock.
    from: i64,
    /// Length of a step, in milliseconds.
    step: i64,
    /// Shares of good requests, from 0 to 1.
    share: Vec<Option<f64>>,
    /// Medians of latency, in microseconds; −1 if infinite, because half of the requests or more had no answer.
    p50: Vec<Option<i64>>,
    /// 99th percentiles of latency, in microseconds; −1 if infinite.
    p99: Vec<Option<i64>>,
}

impl Panel {
    /// Collects the values of drawn lines. `values` returns the columns of a vantage; a line of several vantages has the worst of them.
    pub(crate) fn of<'v>(name: &str, drawn: &[Line], values: impl Fn(&str) -> Option<&'v Columns>) -> Self {
        let line = |line: &Line| {
            let all: Vec<&Columns> = line.members.iter().filter_map(|name| values(name)).collect();
            Values::of(line, Columns::worst(&all).as_ref())
        };
        Self { name: name.to_owned(), lines: drawn.iter().map(line).collect() }
    }
}

impl Values {
    /// Returns the values of `columns`; those of the drawn line if there are none.
    fn of(line: &Line, columns: Option<&Columns>) -> Self {
        let columns = columns.unwrap_or(&line.columns);
        let (from_us, dots) = columns.table();
        let time = |us: Option<u64>| us.map_or(-1, |us| i64::try_from(us).unwrap_or(i64::MAX));
        let mut values = Self {
            name: line.name.clone(),
            counts: line.counts,
            from: from_us / 1000,
            step: columns.step_us() / 1000,
            share: Vec::new(),
            p50: Vec::new(),
            p99: Vec::new(),
        };
        for dot in dots {
            // Six digits after the point still show one failure among a million requests in a second.
            values.share.push(dot.map(|dot| (dot.share * 1e6).round() / 1e6));
            values.p50.push(dot.map(|dot| time(dot.p50)));
            values.p99.push(dot.map(|dot| time(dot.p99)));
        }
        values
    }
}

/// The samples of an objective that a source measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Metric {
    name: String,
    /// The unit of its values; may be empty.
    unit: String,
    /// Whether values are shares; otherwise they are numbers.
    share: bool,
    /// For each sample: time in milliseconds on the run's clock, value (`null` if the source gave none), and 1 if it counts for verdicts,
    /// otherwise 0.
    points: Vec<(i64, Option<f64>, u8)>,
    /// Stretches of judged time without a sample: beginning and end, in milliseconds on the run's clock.
    gaps: Vec<(i64, i64)>,
}

impl Metric {
    /// Collects the values of a metric. `gaps` are beginnings and ends in microseconds on the run's clock.
    pub(crate) fn of(
        name: &str,
        (unit, unit_name): (Unit, &str),
        points: &[PointCard],
        gaps: impl Iterator<Item = (i64, i64)>,
    ) -> Self {
        let point = |point: &PointCard| (point.at_us / 1000, point.value, u8::from(point.counts));
        Self {
            name: name.to_owned(),
            unit: unit_name.to_owned(),
            share: matches!(unit, Unit::Share),
            points: points.iter().map(point).collect(),
            gaps: gaps.map(|(from, until)| (from / 1000, until / 1000)).collect(),
        }
    }
}

/// The rates of one log.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LogValues {
    name: String,
    lines: Vec<RateValues>,
}

/// The rates of a log on one host, or on several hosts with the same rates. Each list has an element for each step from `from`; `null` for
/// a step in which nothing was read.
#[derive(Clone, Debug, Serialize)]
struct RateValues {
    name: String,
    /// Beginning of the first step, in milliseconds on the run's clock.
    from: i64,
    /// Length of a step, in milliseconds.
    step: i64,
    /// The highest rates, in matching lines a second.
    high: Vec<Option<f64>>,
    /// The lowest rates; empty if they equal the highest in all steps.
    low: Vec<Option<f64>>,
    /// Stretches in which lines may be missing: beginning and end, in milliseconds on the run's clock.
    more: Vec<(i64, i64)>,
    /// Stretches in which nothing was read, likewise.
    gaps: Vec<(i64, i64)>,
}

impl LogValues {
    /// Collects the values of the lines of a log.
    pub(crate) fn of<'l>(name: &str, lines: impl Iterator<Item = &'l RateLine>) -> Self {
        Self { name: name.to_owned(), lines: lines.map(RateValues::of).collect() }
    }
}

impl RateValues {
    /// Returns the values of a line.
    fn of(line: &RateLine) -> Self {
        let rates = &line.rates;
        let values = |get: fn(&Rate) -> f64| {
            let value = |rate: &Option<Rate>| rate.as_ref().map(|rate| (get(rate) * 1e3).round() / 1e3);
            rates.all.iter().map(value).collect::<Vec<_>>()
        };
        // Stretches that overlap, or that are at most 20 ms apart, are merged.
        let stretches = |doubts: &[Doubt]| {
            let mut merged: Vec<(i64, i64)> = Vec::new();
            let mut sorted: Vec<(i64, i64)> =
                doubts.iter().map(|doubt| (doubt.from_us / 1000, doubt.until_us / 1000)).collect();
            sorted.sort_unstable();
            for (from, until) in sorted {
                match merged.last_mut().filter(|(_, end)| from <= end.saturating_add(20)) {
                    Some((_, end)) => *end = until.max(*end),
                    None => merged.push((from, until)),
                }
            }
            merged
        };
        Self {
            name: line.name.clone(),
            from: rates.steps.from_us.saturating_add(rates.shift_us) / 1000,
            step: rates.steps.step_us / 1000,
            high: values(|rate| rate.high),
            low: if rates.is_wide() { values(|rate| rate.low) } else { Vec::new() },
            more: stretches(&rates.more),
            gaps: stretches(&rates.gaps),
        }
    }
}

/// Maximum number of samples of one line that are drawn and written into the page.
const POINTS: usize = 2000;

/// Returns the samples that are shown. If there are more than [`POINTS`], the time is divided into equal stretches. Of each stretch the lowest
/// and the highest sample are shown, both of those that count and of the others, and one sample without a value.
pub(crate) fn thinned(points: &[PointCard]) -> Vec<PointCard> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    if points.len() <= POINTS {
        return points.to_vec();
    }
    // Each stretch keeps at most five samples.
    let span = last.at_us.saturating_sub(first.at_us).max(1);
    let place = |point: &PointCard| {
        i128::from(point.at_us.saturating_sub(first.at_us)) * (POINTS / 5) as i128 / (i128::from(span) + 1)
    };
    let mut shown = Vec::new();
    for stretch in points.chunk_by(|left, right| place(left) == place(right)) {
        let mut kept: Vec<PointCard> =
            stretch.iter().filter(|point| point.value.is_none()).take(1).copied().collect();
        for counts in [true, false] {
            let of_kind = || stretch.iter().filter(|point| point.counts == counts && point.value.is_some());
            let order = |left: &&PointCard, right: &&PointCard| {
                left.value.unwrap_or(0.0).total_cmp(&right.value.unwrap_or(0.0))
            };
            let (low, high) = (of_kind().min_by(order), of_kind().max_by(order));
            kept.extend(low.into_iter().chain(high.filter(|high| low != Some(high))).copied());
        }
        kept.sort_by_key(|point| point.at_us);
        shown.extend(kept);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_many_samples_loses_no_peak_and_no_empty_answer() {
        let point = |at: i64| PointCard {
            at_us: at * 1_000_000,
            value: (at != 777).then_some(if at == 4321 { 99.0 } else { 1.0 }),
            counts: at % 2 == 0 || at == 4321,
        };
        let all: Vec<PointCard> = (0..10_000).map(point).collect();
        let shown = thinned(&all);
        assert!(shown.len() <= POINTS && shown.len() > POINTS / 10, "{}", shown.len());
        assert!(
            shown.iter().any(|one| one.value == Some(99.0)) && shown.iter().any(|one| one.value.is_none())
        );
        assert!(shown.is_sorted_by_key(|one| one.at_us));
        assert_eq!(thinned(&all[..2000]).len(), 2000);
    }
}
