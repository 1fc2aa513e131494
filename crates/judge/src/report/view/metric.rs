//! The measurements of a source: in words, and as panels for an attack and for the whole run.

use serde::Serialize;

use firedrill_plan::plan::{
    Plan,
    model::{MetricGoal, Phase},
};

use super::charts::{attack_bands, phase_bands};
use crate::{
    report::{
        chart::{Span, metric::Panel},
        values::{Metric, thinned},
    },
    score::{
        Scorecard,
        card::{AttackCard, ObjectiveCard},
        format,
        metric_card::MetricCard,
    },
};

/// An objective that a source measured.
#[derive(Debug, Serialize)]
pub(crate) struct MetricView {
    /// The query to the source.
    pub(crate) asks: String,
    /// Sentences about the source and its answers.
    pub(crate) says: Vec<String>,
    /// The gaps, each with its reason.
    pub(crate) gaps: Vec<String>,
    /// The accessible name, unique on the page.
    label: String,
    /// The panel; `None` if the attack has no phases.
    svg: Option<String>,
}

/// Maximum number of gaps that are listed.
const LISTED: usize = 8;

impl MetricView {
    /// Describes an objective in an attack; `None` if no source measures it.
    pub(super) fn of(plan: Option<&Plan>, attack: &AttackCard, card: &ObjectiveCard) -> Option<Self> {
        let metric = card.metric.as_deref()?;
        let place = attack.objectives.iter().position(|one| one.name == card.name).unwrap_or(0);
        let mut says = vec![format!(
            "{} asked {} times, {} without an answer; a question took {}, half of the time",
            metric.source,
            metric.asked,
            metric.unanswered,
            format::time(metric.took_us)
        )];
        says.push(format!("its clock is known to {}", format::time(metric.unsure_us)));
        let mut gaps: Vec<String> = metric
            .gaps
            .iter()
            .take(LISTED)
            .map(|gap| {
                format!("{} to {}: {}", format::clock(gap.from_us), format::clock(gap.until_us), gap.why)
            })
            .collect();
        if metric.gaps.len() > LISTED {
            gaps.push(format!("{} more gaps", metric.gaps.len() - LISTED));
        }
        Some(Self {
            asks: metric.asks.clone(),
            says,
            gaps,
            label: format!("{} in attack {}, {}", card.name, attack.index + 1, attack.name),
            svg: of_attack((plan, attack), card, metric, place),
        })
    }
}

/// Returns the word for the wanted side of a metric's bound; empty if the plan does not have the metric.
fn side(plan: Option<&Plan>, objective: &str) -> &'static str {
    let metric = plan.and_then(|plan| plan.metrics.iter().find(|one| one.name == objective));
    match metric.map(|metric| metric.goal) {
        Some(MetricGoal::Below(_) | MetricGoal::IncreaseBelow(_)) => "below",
        Some(MetricGoal::Above(_)) => "above",
        Some(MetricGoal::Good(_)) => "at least",
        None => "",
    }
}

/// Draws the samples over the phases of an attack. `place` is the index of the objective in the attack.
fn of_attack(
    (plan, attack): (Option<&Plan>, &AttackCard),
    card: &ObjectiveCard,
    metric: &MetricCard,
    place: usize,
) -> Option<String> {
    let (first, last) = attack.phases.first().zip(attack.phases.last())?;
    let zero_us = attack.fault_from_us.unwrap_or(0);
    let mut bands = phase_bands(attack);
    bands.iter_mut().zip(&attack.phases).for_each(|(band, phase)| band.fault = phase.phase == Phase::Fault);
    let panel = Panel {
        id: format!("metric-{}-{place}", attack.index),
        title: format!("{} during “{}”", card.name, attack.name),
        asks: metric.asks.clone(),
        unit: card.measured.unit,
        unit_name: metric.unit.clone(),
        side: side(plan, &card.name),
        span: Span { from_us: first.from_us, until_us: last.until_us, zero_us },
        panel: None,
        bands,
        points: thinned(&metric.points),
        gaps: metric.gaps.clone(),
        bound: metric.bound,
    };
    Some(panel.svg())
}

/// The measurements of a source over the whole run.
#[derive(Debug, Serialize)]
pub(crate) struct MetricRun {
    caption: String,
    svg: String,
    /// Its samples, for the page's script.
    #[serde(skip)]
    pub(crate) values: Metric,
}

/// Draws the samples of each objective that a source measured, over the whole run.
pub(super) fn of_run(plan: Option<&Plan>, card: &Scorecard, end_us: i64) -> Vec<MetricRun> {
    let all = || card.attacks.iter().flat_map(|attack| &attack.objectives);
    let mut names: Vec<&str> = Vec::new();
    for one in all().filter(|one| one.metric.is_some()) {
        if !names.contains(&one.name.as_str()) {
            names.push(&one.name);
        }
    }
    let panel_of = |(place, name): (usize, &str)| {
        let cards: Vec<(&ObjectiveCard, &MetricCard)> = all()
            .filter(|one| one.name == name)
            .filter_map(|one| Some((one, one.metric.as_deref()?)))
            .collect();
        let (objective, metric) = *cards.first()?;
        // Attacks can be so close that a sample is in the cards of two. It is drawn once, and counts if it counts for one of them.
        let mut points: Vec<_> = cards.iter().flat_map(|(_, metric)| metric.points.iter().copied()).collect();
        points.sort_by_key(|point| (point.at_us, !point.counts));
        points.dedup_by_key(|point| point.at_us);
        let panel = Panel {
            id: format!("metric-run-{place}"),
            title: format!("{name}: the whole run"),
            asks: metric.asks.clone(),
            unit: objective.measured.unit,
            unit_name: metric.unit.clone(),
            side: side(plan, name),
            span: Span { from_us: 0, until_us: end_us.max(1), zero_us: 0 },
            panel: Some(place),
            bands: attack_bands(card),
            gaps: cards.iter().flat_map(|(_, metric)| metric.gaps.iter().cloned()).collect(),
            bound: metric.bound,
            points: thinned(&points),
        };
        let gaps = panel.gaps.iter().map(|gap| (gap.from_us, gap.until_us));
        Some(MetricRun {
            caption: format!("{name}: {}", metric.asks),
            svg: panel.svg(),
            values: Metric::of(name, (panel.unit, &panel.unit_name), &panel.points, gaps),
        })
    };
    names.into_iter().enumerate().filter_map(panel_of).collect()
}
