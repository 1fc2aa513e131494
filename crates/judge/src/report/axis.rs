//! The time axis of a run, also of a run that is still going on: the lanes and charts of the report's page, as separate SVG texts.

use super::{input::Input, view::lanes};
use crate::log::Log;

/// One chart on the time axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AxisChart {
    /// The caption.
    pub caption: String,
    /// The accessible name, for screen readers.
    pub label: String,
    /// The chart as SVG. It needs the style sheet of reports ([`super::STYLE`]) for its colours.
    pub svg: String,
}

/// The lanes and charts of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Axis {
    /// Faults, alerts, guards and events as one SVG; empty if the run has none.
    pub lanes: String,
    /// One chart for each probe.
    pub charts: Vec<AxisChart>,
}

/// Draws the lanes and charts of a run from its log, which may end before the run does.
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
    fn the_axis_of_half_a_run_shows_the_fault_in_force() {
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
        // The content security policy of the control room's pages forbids inline styles.
        assert!(!format!("{}{}", whole.lanes, whole.charts[0].svg).contains("style="));
        assert_eq!(axis(&Log::of(&[])), Axis::default());
    }
}
