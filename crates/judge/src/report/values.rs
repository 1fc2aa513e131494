//! The values of a page's charts, as JSON in the page: for the cursor, and for who zooms in. Each second has its values
//! where the run is short enough; otherwise a step has the worst of its seconds, as in the charts.

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

/// The values of one line. Each list has an element for each step from `from`; `null` where nothing was measured.
#[derive(Clone, Debug, Serialize)]
struct Values {
    /// The vantage, or `the worst of 5 others`.
    name: String,
    /// Whether it counts for verdicts.
    counts: bool,
    /// Beginning of the first step and length of each, in milliseconds on the run's clock.
    from: i64,
    step: i64,
    /// Shares of good requests, from 0 to 1.
    share: Vec<Option<f64>>,
    /// Latencies in microseconds; −1 where a request so slow or slower had no answer.
    p50: Vec<Option<i64>>,
    p99: Vec<Option<i64>>,
}

impl Panel {
    /// Takes the values of lines as they are drawn; `values` returns those of a vantage.
    pub(crate) fn of<'v>(name: &str, drawn: &[Line], values: impl Fn(&str) -> Option<&'v Columns>) -> Self {
        let line = |line: &Line| {
            let all: Vec<&Columns> = line.members.iter().filter_map(|name| values(name)).collect();
            Values::of(line, Columns::worst(&all).as_ref())
        };
        Self { name: name.to_owned(), lines: drawn.iter().map(line).collect() }
    }
}

impl Values {
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
            // Six decimals tell one failure of a million requests in a second.
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
    /// Time in milliseconds on the run's clock, value (`null` if it shows nothing), and 1 if it counts for verdicts.
    points: Vec<(i64, Option<f64>, u8)>,
    /// Stretches of judged time that no sample is about, in milliseconds.
    gaps: Vec<(i64, i64)>,
}

impl Metric {
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

/// The rates of a log on one host, or on hosts that are alike. Each list has an element for each step from `from`; `null` where nothing
/// was read.
#[derive(Clone, Debug, Serialize)]
struct RateValues {
    name: String,
    from: i64,
    step: i64,
    /// The highest number of matching lines a second in the step.
    high: Vec<Option<f64>>,
    /// The lowest one; empty where it is the highest in all steps.
    low: Vec<Option<f64>>,
    /// Stretches in which lines may be missing, and those of which nothing was read, in milliseconds.
    more: Vec<(i64, i64)>,
    gaps: Vec<(i64, i64)>,
}

impl LogValues {
    pub(crate) fn of<'l>(name: &str, lines: impl Iterator<Item = &'l RateLine>) -> Self {
        Self { name: name.to_owned(), lines: lines.map(RateValues::of).collect() }
    }
}

impl RateValues {
    fn of(line: &RateLine) -> Self {
        let rates = &line.rates;
        let values = |get: fn(&Rate) -> f64| {
            let value = |rate: &Option<Rate>| rate.as_ref().map(|rate| (get(rate) * 1e3).round() / 1e3);
            rates.all.iter().map(value).collect::<Vec<_>>()
        };
        let stretches = |all: &[Doubt]| {
            let mut merged: Vec<(i64, i64)> = Vec::new();
            let mut all: Vec<(i64, i64)> =
                all.iter().map(|one| (one.from_us / 1000, one.until_us / 1000)).collect();
            all.sort_unstable();
            for (from, until) in all {
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

/// Maximum number of samples of one line that are drawn and that the page has.
const POINTS: usize = 2000;

/// Returns the samples that are shown: of many, the lowest and the highest of each of equal stretches of time, and those that show nothing.
pub(crate) fn thinned(points: &[PointCard]) -> Vec<PointCard> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    if points.len() <= POINTS {
        return points.to_vec();
    }
    // Each stretch has at most two samples that count, two that do not, and one that shows nothing.
    let span = last.at_us.saturating_sub(first.at_us).max(1);
    let place = |one: &PointCard| {
        i128::from(one.at_us.saturating_sub(first.at_us)) * (POINTS / 5) as i128 / (i128::from(span) + 1)
    };
    let mut shown = Vec::new();
    for stretch in points.chunk_by(|one, other| place(one) == place(other)) {
        let mut kept: Vec<PointCard> =
            stretch.iter().filter(|one| one.value.is_none()).take(1).copied().collect();
        for counts in [true, false] {
            let of = || stretch.iter().filter(|one| one.counts == counts && one.value.is_some());
            let order = |one: &&PointCard, other: &&PointCard| {
                one.value.unwrap_or(0.0).total_cmp(&other.value.unwrap_or(0.0))
            };
            let (low, high) = (of().min_by(order), of().max_by(order));
            kept.extend(low.into_iter().chain(high.filter(|high| low != Some(high))).copied());
        }
        kept.sort_by_key(|one| one.at_us);
        shown.extend(kept);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_samples_no_peak_and_no_empty_answer_is_lost() {
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
