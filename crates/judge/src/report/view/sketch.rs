//! Draws measurements while a log is judged: the charts of an attack as soon as it is judged, those of the whole run
//! at the end.

use std::{collections::BTreeMap, sync::Arc};

use firedrill_plan::plan::model::{Plan, Probe};
use firedrill_probe::{cells::Grid, seconds::Stream};

use super::charts::{ChartView, MOST_LINES, timelines, zooms};
use crate::{
    report::{
        chart::COLUMNS,
        columns::{Columns, Point},
    },
    score::{
        Scorecard,
        card::{AttackCard, Course},
        sample::{quantile_us, quantiles},
        samples::Samples,
        stream::Eye,
    },
};

/// Typical size of a column of a line, in bytes.
const DOT_BYTES: usize = 30;
/// Approximate maximum size of the lines of whole runs, and of those of attacks, in bytes.
const BYTES: usize = 1_000_000;

/// Returns the number of columns of a line, by the number of lines on the page.
fn columns(lines: usize) -> usize {
    (BYTES / DOT_BYTES / lines.max(1)).clamp(20, COLUMNS)
}

/// Draws measurements while they are read.
pub(crate) struct Sketch<'a> {
    plan: Option<&'a Plan>,
    end_us: i64,
    /// Columns by probe and vantage, over the whole run.
    whole: BTreeMap<(String, String), Columns>,
    /// Numbers of columns of the whole run, and of an attack.
    most: (usize, usize),
    /// The charts of each judged attack.
    zooms: Vec<Vec<ChartView>>,
}

impl<'a> Sketch<'a> {
    /// Creates an empty sketch of a run that ended `end_us` after its beginning.
    pub(crate) fn new(plan: Option<&'a Plan>, end_us: i64) -> Self {
        let lines = |probe: &Probe| probe.from.len().min(MOST_LINES);
        let of_run: usize = plan.iter().flat_map(|plan| &plan.probes).map(lines).sum();
        let attacks = plan.map_or(0, |plan| plan.attacks.len());
        Self {
            plan,
            end_us: end_us.max(1),
            whole: BTreeMap::new(),
            most: (columns(of_run), columns(of_run.saturating_mul(attacks))),
            zooms: vec![Vec::new(); attacks],
        }
    }

    /// Returns the charts of the whole run, and those of each attack.
    pub(crate) fn charts(mut self, card: &Scorecard) -> (Vec<ChartView>, Vec<Vec<ChartView>>) {
        let zooms = std::mem::take(&mut self.zooms);
        let empty = Columns::new(0, self.end_us, self.most.0);
        let columns = |probe: &Probe, vantage: &String| {
            let key = (probe.name.clone(), vantage.clone());
            self.whole.get(&key).unwrap_or(&empty).clone()
        };
        let of_run = |plan: &Plan| timelines(card, plan, self.end_us, columns);
        (self.plan.map_or_else(Vec::new, of_run), zooms)
    }
}

impl Eye for Sketch<'_> {
    fn wants_all(&self) -> bool {
        true
    }

    fn stream(&mut self, stream: &Stream, grid: &Arc<Grid>) {
        let (end_us, most) = (self.end_us, self.most.0);
        let columns = self
            .whole
            .entry((stream.probe.clone(), stream.vantage.clone()))
            .or_insert_with(|| Columns::new(0, end_us, most));
        for second in &stream.seconds {
            let length = i64::try_from(second.length_us).unwrap_or(i64::MAX / 8);
            let (p50, p99) = quantiles(second);
            columns.put(Point {
                from_us: second.start_us,
                until_us: second.start_us.saturating_add(length),
                good: second.good,
                bad: second.bad,
                p50: quantile_us(grid, p50),
                p99: quantile_us(grid, p99),
            });
        }
    }

    fn attack(&mut self, card: &AttackCard, samples: &Samples<'_>) {
        let Some(plan) = self.plan else { return };
        if matches!(card.course, Course::NotRun(_)) {
            return;
        }
        let drawn = zooms(plan, card, samples, self.most.1);
        if let Some(place) = self.zooms.get_mut(card.index) {
            *place = drawn;
        }
    }
}
