//! The values of a page's charts, as JSON in the page: for the cursor, and for who zooms in. Each second has its values
//! where the run is short enough; otherwise a step has the worst of its seconds, as in the charts.

use serde::Serialize;

use super::{chart::Line, columns::Columns};
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
    /// Whether values are shares; otherwise they are numbers.
    share: bool,
    /// Time in milliseconds on the run's clock, value (`null` if it shows nothing), and 1 if it counts for verdicts.
    points: Vec<(i64, Option<f64>, u8)>,
}

impl Metric {
    pub(crate) fn of(name: &str, unit: Unit, points: &[PointCard]) -> Self {
        let point = |point: &PointCard| (point.at_us / 1000, point.value, u8::from(point.counts));
        let points = points.iter().map(point).collect();
        Self { name: name.to_owned(), share: matches!(unit, Unit::Share), points }
    }
}
