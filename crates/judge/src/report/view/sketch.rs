//! Draws measurements while a log is judged. The charts of an attack are drawn as soon as it is judged, those of the whole run at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use firedrill_plan::plan::model::{Plan, Probe};
use firedrill_probe::{cells::Grid, seconds::Stream};

use super::charts::{ChartView, MOST_LINES, attack_charts, lines, run_charts};
use crate::{
    report::{
        chart::{COLUMNS, Line},
        columns::{Columns, Point},
        heat::Heat,
        names::Names,
        values::Panel,
    },
    score::{
        Scorecard,
        card::AttackCard,
        sample::{quantile_us, quantiles},
        samples::Samples,
        stream::Eye,
    },
};

/// Typical size of a column of a drawn line, in bytes.
const DOT_BYTES: usize = 30;
/// Typical size of a column in the values of the page, in bytes.
const VALUE_BYTES: usize = 18;
/// Typical size of a column of a heat map, in bytes.
const HEAT_BYTES: usize = 60;
/// Approximate maximum size of the drawn lines over the whole run, and likewise of the drawn lines of all attacks, in bytes.
const LINES: usize = 400_000;
/// Approximate maximum size of all values, in bytes.
const VALUES: usize = 700_000;
/// Approximate maximum size of all heat maps, in bytes.
const HEATS: usize = 300_000;

/// Returns the number of columns of a line if `lines` lines share `bytes` bytes and a column takes `each` bytes: at least 20 and at most `most`.
fn columns(lines: usize, bytes: usize, each: usize, most: usize) -> usize {
    (bytes / each / lines.max(1)).clamp(20, most)
}

/// Maximum numbers of columns of a line or heat map.
#[derive(Clone, Copy)]
struct Most {
    /// Of a line over the whole run.
    run: usize,
    /// Of a line over an attack.
    attack: usize,
    /// Of a line in the values of the page.
    values: usize,
    /// Of a heat map.
    heat: usize,
}

/// The measurements of one probe at one vantage over the whole run.
struct Whole {
    /// The columns that are drawn.
    drawn: Columns,
    /// The columns that the page's script has for the cursor and for zooming. There can be more of them.
    values: Columns,
}

/// The parts of a run that a page draws.
pub(crate) struct Drawn {
    /// The charts of the whole run, one for each probe.
    pub(crate) timelines: Vec<ChartView>,
    /// The charts of each attack, by the attack's index.
    pub(crate) zooms: Vec<Vec<ChartView>>,
    /// The values of the timelines.
    pub(crate) panels: Vec<Panel>,
    pub(crate) names: Names,
}

/// Draws measurements while they are read.
pub(crate) struct Sketch<'a> {
    plan: Option<&'a Plan>,
    end_us: i64,
    names: Names,
    /// The measurements over the whole run, by probe and vantage.
    whole: BTreeMap<(String, String), Whole>,
    /// The heat maps over the whole run, by probe.
    heats: BTreeMap<String, Heat>,
    /// The hosts with faults of any attack.
    targets: BTreeSet<String>,
    most: Most,
    /// The charts of each judged attack.
    zooms: Vec<Vec<ChartView>>,
}

impl<'a> Sketch<'a> {
    /// Creates an empty sketch of a run that ended `end_us` after its beginning.
    pub(crate) fn new(plan: Option<&'a Plan>, end_us: i64) -> Self {
        let lines = |probe: &Probe| probe.from.len().min(MOST_LINES);
        let of_run: usize = plan.iter().flat_map(|plan| &plan.probes).map(lines).sum();
        let probes = plan.map_or(0, |plan| plan.probes.len());
        let attacks = plan.map_or(0, |plan| plan.attacks.len());
        let most = Most {
            run: columns(of_run, LINES, DOT_BYTES, COLUMNS),
            attack: columns(of_run.saturating_mul(attacks), LINES, DOT_BYTES, COLUMNS),
            values: columns(of_run, VALUES, VALUE_BYTES, usize::MAX),
            heat: columns(probes, HEATS, HEAT_BYTES, 1200),
        };
        Self {
            plan,
            end_us: end_us.max(1),
            names: plan.map_or_else(Names::default, Names::of),
            whole: BTreeMap::new(),
            heats: BTreeMap::new(),
            targets: plan.map_or_else(BTreeSet::new, |plan| {
                plan.targets().into_iter().map(ToString::to_string).collect()
            }),
            most,
            zooms: vec![Vec::new(); attacks],
        }
    }

    /// Draws the charts of the whole run, and returns all charts with the values of those of the whole run.
    pub(crate) fn drawn(mut self, card: &Scorecard) -> Drawn {
        let zooms = std::mem::take(&mut self.zooms);
        let names = std::mem::take(&mut self.names);
        let Some(plan) = self.plan else {
            return Drawn { timelines: Vec::new(), zooms, panels: Vec::new(), names };
        };
        let targets = plan.targets();
        let empty = Columns::new(0, self.end_us, self.most.run);
        let whole = |probe: &Probe, from: &str| self.whole.get(&(probe.name.clone(), from.to_owned()));
        // Over the whole run, a vantage counts as a target if any attack targets it.
        let drawn = |probe: &Probe| {
            let all = probe.from.iter().map(|from| {
                let columns = whole(probe, from).map_or(&empty, |whole| &whole.drawn);
                (from.as_str(), !targets.contains(from.as_str()), columns.clone())
            });
            (lines(&names, all), self.heats.get(&probe.name))
        };
        let panels_drawn: Vec<(Vec<Line>, Option<&Heat>)> = plan.probes.iter().map(drawn).collect();
        let timelines = run_charts(card, plan, self.end_us, &panels_drawn);
        let panel = |(probe, (lines, _)): (&Probe, &(Vec<Line>, Option<&Heat>))| {
            Panel::of(&probe.name, lines, |from| whole(probe, from).map(|whole| &whole.values))
        };
        let panels = plan.probes.iter().zip(&panels_drawn).map(panel).collect();
        Drawn { timelines, zooms, panels, names }
    }
}

impl Eye for Sketch<'_> {
    fn wants_all(&self) -> bool {
        true
    }

    fn stream(&mut self, stream: &Stream, grid: &Arc<Grid>) {
        let (end_us, most) = (self.end_us, self.most);
        let whole = self.whole.entry((stream.probe.clone(), stream.vantage.clone())).or_insert_with(|| {
            Whole { drawn: Columns::new(0, end_us, most.run), values: Columns::new(0, end_us, most.values) }
        });
        // A vantage on a target does not count, because its measurements differ from those of users.
        let counts = !self.targets.contains(&stream.vantage);
        let heat = self.heats.entry(stream.probe.clone()).or_insert_with(|| Heat::new(0, end_us, most.heat));
        for second in &stream.seconds {
            let length = i64::try_from(second.length_us).unwrap_or(i64::MAX / 8);
            let (p50, p99) = quantiles(second);
            let point = Point {
                from_us: second.start_us,
                until_us: second.start_us.saturating_add(length),
                good: second.good,
                bad: second.bad,
                p50: quantile_us(grid, p50),
                p99: quantile_us(grid, p99),
            };
            whole.drawn.put(point);
            whole.values.put(point);
            if counts {
                heat.put(second, grid);
            }
        }
    }

    fn attack(&mut self, card: &AttackCard, samples: &Samples<'_>) {
        let Some(plan) = self.plan else { return };
        if card.course.not_begun().is_some() {
            return;
        }
        let drawn = attack_charts(plan, &self.names, card, samples, self.most.attack);
        if let Some(place) = self.zooms.get_mut(card.index) {
            *place = drawn;
        }
    }
}
