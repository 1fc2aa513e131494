//! Selects the charts of a report, and their lines.

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
        card::{AttackCard, phase_word, verdict_word},
        format,
        sample::quantile_us,
        samples::{Samples, Sight},
    },
};

/// Maximum number of lines of a chart that can be told apart. If there are more vantages, the worst have lines of
/// their own, and the worst of the others share one.
pub(super) const MOST_LINES: usize = 6;

/// The lines of a chart: vantages with their columns, and whether they count.
pub(super) fn lines<'v>(names: &Names, all: impl Iterator<Item = (&'v str, bool, Columns)>) -> Vec<Line> {
    let all: Vec<Sighted<'v>> = all.collect();
    let line = |group: Vec<&Sighted<'v>>| {
        let (_, counts, columns) = group.first()?;
        let members: Vec<String> = group.iter().map(|(name, ..)| (*name).to_owned()).collect();
        let name = match members.as_slice() {
            [only] => only.clone(),
            more => super::few::alike(more),
        };
        let vantages = names.refer(members.iter().map(String::as_str));
        Some(Line { name, counts: *counts, columns: columns.clone(), members, vantages })
    };
    let mut lines: Vec<Line> = together(&all, drawn_as).into_iter().filter_map(line).collect();
    if lines.len() <= MOST_LINES {
        return lines;
    }
    // Order of lines: those that count first, then by lowest share, missing measurements, missing answers, and
    // latency.
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
    for group in [counting, shown_only] {
        let columns: Vec<&Columns> = group.iter().map(|line| &line.columns).collect();
        match (group.as_slice(), Columns::worst(&columns)) {
            ([only], _) => lines.push(only.clone()),
            ([first, ..], Some(columns)) => {
                let members: Vec<String> = group.iter().flat_map(|line| line.members.clone()).collect();
                let name = format!("the worst of {} others", members.len());
                let vantages = names.refer(members.iter().map(String::as_str));
                lines.push(Line { name, counts: first.counts, columns, members, vantages });
            }
            _ => {}
        }
    }
    lines
}

/// A vantage, whether it counts, and its columns.
type Sighted<'v> = (&'v str, bool, Columns);

/// Returns what is equal in vantages that share a line.
fn drawn_as<'s>(one: &&'s Sighted<'_>) -> (bool, &'s Columns) {
    (one.1, &one.2)
}

/// A limit with its label.
type Limit<T> = Option<(T, String)>;

/// The strictest limits of a probe's objectives: the share of good requests, and a latency.
fn limits(plan: &Plan, probe: &str) -> (Limit<f64>, Limit<u64>) {
    let goals = || plan.objectives.iter().filter(|one| one.probe == probe).map(|one| one.goal);
    let good = goals().filter_map(|goal| match goal {
        Goal::Good(share) => Some(share.fraction()),
        _ => None,
    });
    let below = goals().filter_map(|goal| match goal {
        Goal::Latency { quantile, below } => Some((below.as_micros(), format::percent(quantile))),
        _ => None,
    });
    let good = good.reduce(f64::max).map(|share| (share, format!("goal: {} good", format::percent(share))));
    let below = below.min_by_key(|(us, _)| *us);
    (good, below.map(|(us, share)| (us, format!("goal: {share} within {}", format::micros(us)))))
}

fn fault_band(attack: &AttackCard, label: String) -> Option<Band> {
    let from_us = attack.fault_from_us?;
    let act = attack.phases.iter().find(|one| one.phase == Phase::Fault)?;
    let until_us = attack.healed_us.unwrap_or(act.until_us).max(from_us);
    let title = format!(
        "{}: in force from {} to {}, {}",
        attack.name,
        format::clock(from_us),
        format::clock(until_us),
        verdict_word(attack.verdict)
    );
    Some(Band { from_us, until_us, label, title, fault: true })
}

/// Returns the moments of an attack that have a mark: alerts that were found firing, and the times to detect, mitigate and recover.
fn marks(attack: &AttackCard) -> Vec<Mark> {
    let stretches = attack.alerts().into_iter().flat_map(|card| {
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
    stretches.chain(times).collect()
}

/// A chart with its caption.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ChartView {
    probe: String,
    pub(crate) caption: String,
    /// Its accessible name, unique on the page.
    pub(crate) label: String,
    /// Duration of a step of its lines.
    resolution: String,
    pub(crate) svg: String,
    /// The map of all its requests; empty for an attack, and where nothing was measured.
    heat: String,
}

fn caption(probe: &Probe) -> String {
    format!("{}: {}", probe.name, probe.kind.about().measures)
}

/// Returns the stretches in which attacks were in force.
pub(super) fn attacks(card: &Scorecard) -> Vec<Band> {
    let many = card.attacks.len() > 6;
    let band = |attack: &AttackCard| {
        let number = attack.index + 1;
        fault_band(attack, if many { number.to_string() } else { format!("{number} {}", attack.name) })
    };
    card.attacks.iter().filter_map(band).collect()
}

/// The lines of a probe, and the map of its requests.
type Shown<'h> = (Vec<Line>, Option<&'h Heat>);

/// Returns charts of the whole run, one for each probe: its lines, and the map of its requests.
pub(super) fn timelines(card: &Scorecard, plan: &Plan, end_us: i64, panels: &[Shown<'_>]) -> Vec<ChartView> {
    let bands = attacks(card);
    let span = Span { from_us: 0, until_us: end_us, zero_us: 0 };
    let chart = |(place, (probe, (lines, heat))): (usize, (&Probe, &Shown<'_>))| {
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
        let map = |heat: &&Heat| heat::svg(&format!("heat-{place}"), &probe.name, span, heat);
        ChartView {
            probe: probe.name.clone(),
            caption: format!("{}{note}", caption(probe)),
            label: format!("{} over the whole run", probe.name),
            resolution: chart.resolution(),
            svg: chart.svg(),
            heat: heat.as_ref().and_then(map).unwrap_or_default(),
        }
    };
    plan.probes.iter().zip(panels).enumerate().map(chart).collect()
}

/// Returns the phases of an attack.
pub(super) fn phases(attack: &AttackCard) -> Vec<Band> {
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

/// Returns charts of one attack, one for each judged probe.
pub(super) fn zooms(
    (plan, names): (&Plan, &Names),
    attack: &AttackCard,
    samples: &Samples<'_>,
    most: usize,
) -> Vec<ChartView> {
    let (Some(first), Some(last)) = (attack.phases.first(), attack.phases.last()) else { return Vec::new() };
    let mut bands = phases(attack);
    bands.extend(fault_band(attack, String::new()));
    let judged = |probe: &&Probe| attack.judges(&probe.name);
    let around = |sight: Option<&Sight>| {
        let mut columns = Columns::new(first.from_us, last.until_us, most);
        for (sight, sample) in sight.iter().flat_map(|sight| sight.all.iter().map(move |one| (sight, one))) {
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
        .filter(judged)
        .enumerate()
        .map(|(place, probe)| {
            let (good, below_us) = limits(plan, &probe.name);
            let chart = Chart {
                id: format!("attack-{}-{place}", attack.index),
                title: format!("{} during “{}”", probe.name, attack.name),
                span: Span {
                    from_us: first.from_us,
                    until_us: last.until_us,
                    zero_us: attack.fault_from_us.unwrap_or(0),
                },
                panel: None,
                lines: lines(
                    names,
                    probe.from.iter().map(|vantage| {
                        let counts = !targets.contains(vantage.as_str());
                        (vantage.as_str(), counts, around(samples.get(&probe.name, vantage)))
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
