//! Draws the charts of a report: one for each probe over the whole run, and one for each judged probe of each attack. Never judges, and
//! never reads the log: it draws a scorecard and samples.

use std::{cmp::Reverse, collections::HashSet};

use firedrill_plan::{
    alike::together,
    plan::model::{Goal, Phase, Plan, Probe},
};
use serde::Serialize;

use crate::{
    report::{
        chart::{Band, Chart, Line, Mark, Span, cut, heat},
        columns::{Columns, Point},
        heat::Heat,
        names::Names,
    },
    score::{
        Scorecard,
        card::{AttackCard, phase_word},
        format,
        sample::quantile_us,
        samples::{Samples, Sight},
    },
};

/// Maximum number of lines of a chart that can be distinguished. If there are more, each of the worst (one fewer than this number) has its own
/// line. The others share two lines: one for the vantages that count, and one for those that do not.
pub(super) const MOST_LINES: usize = 6;

/// A vantage, whether it counts for the verdict, and its columns.
type VantageColumns<'v> = (&'v str, bool, Columns);

/// Returns the lines of a chart. Vantages with equal measurements share a line.
pub(super) fn lines<'v>(names: &Names, all: impl Iterator<Item = VantageColumns<'v>>) -> Vec<Line> {
    let all: Vec<VantageColumns<'v>> = all.collect();
    // One line for a group of vantages with equal columns.
    let line = |group: Vec<&VantageColumns<'v>>| {
        let (_, counts, columns) = group.first()?;
        let members: Vec<String> = group.iter().map(|(name, ..)| (*name).to_owned()).collect();
        let name = match members.as_slice() {
            [only] => only.clone(),
            more => super::few::alike(more),
        };
        let vantages = names.refer(members.iter().map(String::as_str));
        Some(Line { name, counts: *counts, columns: columns.clone(), members, vantages })
    };
    let mut lines: Vec<Line> = together(&all, line_key).into_iter().filter_map(line).collect();
    if lines.len() <= MOST_LINES {
        return lines;
    }
    // The worst lines come first: those that count, then by the lowest share, the longest time without measurements, and the highest p99. A
    // missing p99 is higher than any time.
    lines.sort_by_cached_key(|line| {
        let unmeasured: i64 =
            line.columns.missing().iter().map(|(from, until)| until.saturating_sub(*from)).sum();
        let lowest = line.columns.dots().map(|dot| dot.share).fold(1.0, f64::min);
        let slowest = line.columns.dots().map(|dot| dot.p99.unwrap_or(u64::MAX)).max().unwrap_or(0);
        // The bits of non-negative floats are in the order of their values.
        (!line.counts, lowest.to_bits(), Reverse(unmeasured), Reverse(slowest))
    });
    let others = lines.split_off(MOST_LINES - 1);
    let (counting, shown_only): (Vec<Line>, Vec<Line>) = others.into_iter().partition(|line| line.counts);
    for (counts, group) in [(true, counting), (false, shown_only)] {
        if let [only] = group.as_slice() {
            lines.push(only.clone());
            continue;
        }
        let columns: Vec<&Columns> = group.iter().map(|line| &line.columns).collect();
        // An empty group has no columns, and gets no line.
        let Some(columns) = Columns::worst(&columns) else { continue };
        let members: Vec<String> = group.iter().flat_map(|line| line.members.clone()).collect();
        let name =
            format!("the worst of {} others{}", members.len(), if counts { "" } else { ", not counted" });
        let vantages = names.refer(members.iter().map(String::as_str));
        lines.push(Line { name, counts, columns, members, vantages });
    }
    lines
}

/// Returns the key by which vantages share a line: whether they count, and their columns.
fn line_key<'s>(one: &&'s VantageColumns<'_>) -> (bool, &'s Columns) {
    (one.1, &one.2)
}

/// A limit with its label.
type Limit<T> = (T, String);

/// Returns the strictest limits of a probe's objectives: the highest wanted share of good requests, and the lowest limit of latency, in
/// microseconds, of any quantile.
fn limits(plan: &Plan, probe: &str) -> (Option<Limit<f64>>, Option<Limit<u64>>) {
    let goals = || plan.objectives.iter().filter(|one| one.probe == probe).map(|one| one.goal);
    let good = goals().filter_map(|goal| match goal {
        Goal::Good(share) => Some(share.fraction()),
        _ => None,
    });
    let latencies = goals().filter_map(|goal| match goal {
        Goal::Latency { quantile, below } => Some((below.as_micros(), format::percent(quantile))),
        _ => None,
    });
    let good = good.reduce(f64::max).map(|share| (share, format!("goal: {} good", format::percent(share))));
    let lowest = latencies.min_by_key(|(us, _)| *us);
    (good, lowest.map(|(us, quantile)| (us, format!("goal: {quantile} within {}", format::micros(us)))))
}

/// Returns the band of the time in which an attack's faults were in force; `None` if they never were.
fn fault_band(attack: &AttackCard, label: String) -> Option<Band> {
    let from_us = attack.fault_from_us?;
    let phase = attack.phases.iter().find(|phase| phase.phase == Phase::Fault)?;
    let until_us = attack.healed_us.unwrap_or(phase.until_us).max(from_us);
    let title = format!(
        "{}: in force from {} to {}, {}",
        attack.name,
        format::clock(from_us),
        format::clock(until_us),
        attack.word()
    );
    Some(Band { from_us, until_us, label, title, fault: true })
}

/// Returns the moments of an attack that have a mark: alerts that were found firing, and the times to detect, mitigate and recover.
fn marks(attack: &AttackCard) -> Vec<Mark> {
    let alerts = attack.alerts().into_iter().flat_map(|card| {
        card.firing.iter().map(|one| Mark {
            at_us: one.from_us,
            label: format!("{} fires", cut(&card.alert, 30)),
            title: format!(
                "{} seen firing from {} to {}{}",
                card.alert,
                format::clock(one.from_us),
                format::clock(one.until_us),
                one.hushed.as_ref().map_or_else(String::new, |why| format!(", {why}"))
            ),
        })
    });
    let times = super::times::of(attack).into_iter().map(|time| Mark {
        at_us: time.until_us,
        label: time.label(),
        title: time.title(),
    });
    alerts.chain(times).collect()
}

/// A chart with its caption.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ChartView {
    probe: String,
    pub(crate) caption: String,
    /// The accessible name, unique on the page.
    pub(crate) label: String,
    /// A sentence about the time that one column of a line covers.
    resolution: String,
    pub(crate) svg: String,
    /// The heat map of its requests as SVG; empty for the chart of an attack, and where nothing was measured.
    heat: String,
}

/// Returns the name of a probe, and what it measures.
fn caption(probe: &Probe) -> String {
    format!("{}: {}", probe.name, probe.kind.about().measures)
}

/// Up to this number of attacks, the labels of their bands have names beside the numbers.
const NAMED_BANDS: usize = 6;

/// Returns a band for each attack that was in force.
pub(super) fn attack_bands(card: &Scorecard) -> Vec<Band> {
    let many = card.attacks.len() > NAMED_BANDS;
    let band = |attack: &AttackCard| {
        let number = attack.index + 1;
        fault_band(attack, if many { number.to_string() } else { format!("{number} {}", attack.name) })
    };
    card.attacks.iter().filter_map(band).collect()
}

/// The lines of a probe, and the heat map of its requests.
type ProbePanel<'h> = (Vec<Line>, Option<&'h Heat>);

/// Returns charts of the whole run, one for each probe: its lines, and the heat map of its requests.
pub(super) fn run_charts(
    card: &Scorecard,
    plan: &Plan,
    end_us: i64,
    panels: &[ProbePanel<'_>],
) -> Vec<ChartView> {
    let bands = attack_bands(card);
    let span = Span { from_us: 0, until_us: end_us, zero_us: 0 };
    let view = |(place, (probe, (lines, heat))): (usize, (&Probe, &ProbePanel<'_>))| {
        let (good, below_us) = limits(plan, &probe.name);
        let chart = Chart {
            id: format!("run-{place}"),
            title: format!("{}: the whole run", probe.name),
            span,
            panel: Some(place),
            lines: lines.clone(),
            bands: bands.clone(),
            marks: Vec::new(),
            good,
            below_us,
        };
        let judged = card.attacks.iter().any(|attack| attack.judges(&probe.name));
        let note = if judged { "" } else { " (not judged)" };
        ChartView {
            probe: probe.name.clone(),
            caption: format!("{}{note}", caption(probe)),
            label: format!("{} over the whole run", probe.name),
            resolution: chart.resolution(),
            svg: chart.svg(),
            heat: heat
                .and_then(|heat| heat::svg(&format!("heat-{place}"), &probe.name, span, heat))
                .unwrap_or_default(),
        }
    };
    plan.probes.iter().zip(panels).enumerate().map(view).collect()
}

/// Returns a band for each phase of an attack.
pub(super) fn phase_bands(attack: &AttackCard) -> Vec<Band> {
    attack
        .phases
        .iter()
        .map(|one| Band {
            from_us: one.from_us,
            until_us: one.until_us,
            label: phase_word(one.phase).to_owned(),
            title: format!(
                "{} from {} to {}",
                phase_word(one.phase),
                format::clock(one.from_us),
                format::clock(one.until_us)
            ),
            fault: false,
        })
        .collect()
}

/// Returns charts of one attack, one for each judged probe, with at most `max_columns` columns in a line.
pub(super) fn attack_charts(
    plan: &Plan,
    names: &Names,
    attack: &AttackCard,
    samples: &Samples<'_>,
    max_columns: usize,
) -> Vec<ChartView> {
    let (Some(first), Some(last)) = (attack.phases.first(), attack.phases.last()) else { return Vec::new() };
    let mut bands = phase_bands(attack);
    bands.extend(fault_band(attack, String::new()));
    let is_judged = |probe: &&Probe| attack.judges(&probe.name);
    let columns_of = |sight: Option<&Sight>| {
        let mut columns = Columns::new(first.from_us, last.until_us, max_columns);
        let Some(sight) = sight else { return columns };
        for sample in &sight.all {
            let (p50, p99) = sample.quantiles();
            columns.put(Point {
                from_us: sample.from_us,
                until_us: sample.until_us,
                good: sample.good(),
                bad: sample.bad(),
                p50: quantile_us(&sight.grid, p50),
                p99: quantile_us(&sight.grid, p99),
            });
        }
        columns
    };
    let targets: HashSet<&str> = attack.injections.iter().map(|one| one.host.as_str()).collect();
    plan.probes
        .iter()
        .filter(is_judged)
        .enumerate()
        .map(|(place, probe)| {
            let (good, below_us) = limits(plan, &probe.name);
            let chart = Chart {
                id: format!("attack-{}-{place}", attack.index),
                title: format!("{} during “{}”", probe.name, attack.name),
                span: Span {
                    from_us: first.from_us,
                    until_us: last.until_us,
                    // If no fault was in force, the axis has the times of the run's clock.
                    zero_us: attack.fault_from_us.unwrap_or(0),
                },
                panel: None,
                lines: lines(
                    names,
                    probe.from.iter().map(|vantage| {
                        // A vantage on a target does not count, because its measurements differ from those of users.
                        let counts = !targets.contains(vantage.as_str());
                        (vantage.as_str(), counts, columns_of(samples.get(&probe.name, vantage)))
                    }),
                ),
                bands: bands.clone(),
                marks: marks(attack),
                good,
                below_us,
            };
            ChartView {
                probe: probe.name.clone(),
                caption: caption(probe),
                label: format!("{} in attack {}, {}", probe.name, attack.index + 1, attack.name),
                resolution: chart.resolution(),
                svg: chart.svg(),
                heat: String::new(),
            }
        })
        .collect()
}
