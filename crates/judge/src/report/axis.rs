//! The time axis of a run, also of one that goes on: lanes and charts as the page of the report has them, each by itself.

use super::{input::Input, view::lanes};
use crate::log::Log;

/// A chart of the axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AxisChart {
    /// Its caption.
    pub caption: String,
    /// Its accessible name.
    pub label: String,
    /// The chart, as SVG for the style sheet of reports.
    pub svg: String,
}

/// The time axis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Axis {
    /// Faults, alerts, guards and events, as SVG; empty if there are none.
    pub lanes: String,
    /// A chart for each probe.
    pub charts: Vec<AxisChart>,
}

/// Draws the axis of a run from its log so far.
#[must_use]
pub fn axis(log: &Log) -> Axis {
    let mut input = Input::new(log);
    let charts = std::mem::take(&mut input.drawn.timelines).into_iter().map(|chart| {
        let (caption, label, svg) = (chart.caption, chart.label, chart.svg);
        AxisChart { caption, label, svg }
    });
    Axis { charts: charts.collect(), lanes: lanes(&input) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{log::Event, testing::Drill};

    #[test]
    fn the_axis_of_half_a_run_shows_what_is_in_force() {
        let records = Drill::good().records();
        let end = records.iter().position(|record| matches!(&record.event, Event::AttackEnded { .. }));
        let half = axis(&Log::of(&records[..end.expect("an attack ends")]));
        let whole = axis(&Log::of(&records));
        assert!(!half.charts.is_empty() && half.charts.len() == whole.charts.len());
        assert!(
            half.charts[0].svg.starts_with("<svg") && half.charts[0].svg.contains("class=\"fault\""),
            "{}",
            half.charts[0].svg
        );
        assert!(!half.lanes.is_empty() && half.lanes != whole.lanes);
        // The policy of the control room's pages allows no style beside the sheet.
        assert!(!format!("{}{}", whole.lanes, whole.charts[0].svg).contains("style="));
        assert_eq!(axis(&Log::of(&[])), Axis::default());
    }
}
