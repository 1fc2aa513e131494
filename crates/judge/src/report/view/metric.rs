//! What a source measured, in words, and its panel.

use serde::Serialize;

use crate::{
    report::chart,
    score::{
        card::{AttackCard, ObjectiveCard},
        format,
    },
};

/// An objective that a source measured.
#[derive(Debug, Serialize)]
pub(crate) struct MetricView {
    pub(crate) asks: String,
    /// The source, its answers and its gaps, a sentence each.
    pub(crate) says: Vec<String>,
    /// The reasons of its gaps.
    pub(crate) gaps: Vec<String>,
    /// An accessible name, unique on the page.
    label: String,
    svg: Option<String>,
}

/// Most gaps that are listed.
const LISTED: usize = 8;

impl MetricView {
    pub(super) fn of(attack: &AttackCard, card: &ObjectiveCard) -> Option<Self> {
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
            svg: chart::metric::panel(attack, card, place),
        })
    }
}
