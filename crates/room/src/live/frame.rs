//! The view of a run: its state and its time axis, as parts of a page.

use std::path::Path;

use firedrill_judge::{
    log::{self, LogError, Outcome},
    report::{Axis, axis, measured},
    score::{
        attack_so_far,
        card::{AttackCard, phase_word},
        format,
    },
};
use minijinja::{Value, context};
use serde::Serialize;

use crate::{
    pages::state,
    runs::{Asks, Course, Next},
    template::{part, value},
};

/// A run at one of its records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    /// The number of the record; 0 before the first was read.
    pub(crate) seq: u64,
    /// Wall clock of the run's time 0, RFC 3339 UTC.
    pub(crate) wall: String,
    /// The part that does not change.
    pub(crate) head: String,
    /// Its state.
    pub(crate) state: String,
    /// The attack that is next.
    pub(crate) next: Option<Next>,
    /// The step by hand that a person is asked for.
    pub(crate) asks: Option<Asks>,
    /// Its time axis, and a number that rises with each change of it.
    pub(crate) axis: (u64, String),
    /// Whether nobody writes the log any more.
    pub(crate) over: bool,
}

/// The measurements of the attack that goes on, or of the last one.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    /// Attack and phase.
    of: String,
    vantages: Vec<VantageRow>,
    objectives: Vec<ObjectiveRow>,
}

#[derive(Debug, Serialize)]
struct VantageRow {
    vantage: String,
    probe: String,
    counts: bool,
    good: String,
    p99: String,
    requests: u64,
}

#[derive(Debug, Serialize)]
struct ObjectiveRow {
    name: String,
    goal: String,
    word: &'static str,
    glyph: &'static str,
    measured: String,
}

/// Judges the log so far.
///
/// # Errors
/// As [`log::read`].
pub(super) fn measure(path: &Path, course: &Course) -> Result<(Figures, Axis), LogError> {
    let log = log::read(path)?;
    let current = course.phase.map(|(attack, ..)| attack);
    let attack = current.or_else(|| course.ended.keys().next_back().copied());
    let card = attack.and_then(|attack| attack_so_far(&log, attack, course.at_us, &Outcome::Ran));
    let figures = card.map(|card| figures(&card, course)).unwrap_or_default();
    Ok((figures, axis(&log)))
}

fn figures(card: &AttackCard, course: &Course) -> Figures {
    let phase = course.phase.map(|(_, phase, ..)| phase);
    let vantages = card.figures.iter().filter_map(|one| {
        let of_phase = one.phases.iter().find(|figure| Some(figure.phase) == phase);
        let figure = of_phase.or(one.phases.last())?;
        Some(VantageRow {
            vantage: one.vantage.clone(),
            probe: one.probe.clone(),
            counts: one.counts,
            good: figure.good.map_or_else(|| "—".to_owned(), format::percent),
            p99: figure.p99_us.map_or_else(|| "—".to_owned(), format::micros),
            requests: figure.samples,
        })
    });
    let objectives = card.objectives.iter().map(|one| ObjectiveRow {
        name: one.name.clone(),
        goal: one.goal.clone(),
        word: one.verdict.word(),
        glyph: one.verdict.glyph(),
        measured: measured(&one.measured),
    });
    let of = match phase {
        Some(phase) => format!("{} of \"{}\"", phase_word(phase), card.name),
        None => format!("\"{}\"", card.name),
    };
    Figures { of, vantages: vantages.collect(), objectives: objectives.collect() }
}

/// Renders the state.
pub(super) fn of_state(course: &Course, figures: &Figures) -> Result<String, String> {
    part("state", context! { figures => value(figures), run => state::values(course, None) })
}

/// Renders what does not change.
pub(crate) fn of_head(run: Value) -> Result<String, String> {
    part("head", context! { run })
}

/// Renders the axis.
pub(super) fn of_axis(axis: &Axis) -> Result<String, String> {
    let charts: Vec<Value> = axis
        .charts
        .iter()
        .map(|chart| context! { caption => &chart.caption, label => &chart.label, svg => &chart.svg })
        .collect();
    part("axis", context! { lanes => &axis.lanes, charts => charts })
}
