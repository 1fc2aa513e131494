//! The view of a run while it goes on: its state and its time axis, rendered as HTML parts of a page. Reads a log once, and does not wait for more.

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

/// The view of a run after one of its records. Texts are HTML.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    /// The number of the last record that was read; 0 before the first.
    pub(crate) seq: u64,
    /// Wall clock of the run's time 0, RFC 3339 UTC.
    pub(crate) wall: String,
    /// The part about the beginning of the run, which does not change.
    pub(crate) head: String,
    /// The part that shows the state of the run.
    pub(crate) state: String,
    /// The next attack; `None` if there is none.
    pub(crate) next: Option<Next>,
    /// The step by hand that a person is asked for; `None` if there is none.
    pub(crate) asks: Option<Asks>,
    /// The number of changes of the time axis so far, and the axis.
    pub(crate) axis: (u64, String),
    /// True if no program writes the log any more, or the log cannot be read.
    pub(crate) over: bool,
}

/// The measurements of the attack that goes on, or of the last one.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    /// The attack, and its phase while it goes on, in words.
    of: String,
    vantages: Vec<VantageRow>,
    objectives: Vec<ObjectiveRow>,
}

/// The figures that a vantage has measured of a probe in one phase.
#[derive(Debug, Serialize)]
struct VantageRow {
    vantage: String,
    probe: String,
    /// True if the vantage counts for verdicts, false if it is only shown.
    counts: bool,
    /// The share of good answers, or `—`.
    good: String,
    /// The 99th percentile of the latency, or `—`.
    p99: String,
    /// Number of requests.
    requests: u64,
}

/// An objective, and its verdict so far.
#[derive(Debug, Serialize)]
struct ObjectiveRow {
    name: String,
    goal: String,
    /// The verdict in a word.
    word: &'static str,
    /// The verdict as a sign.
    glyph: &'static str,
    measured: String,
}

/// Judges the log so far. Returns figures of the attack that goes on, or of the last one that ended, and the time axis.
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

/// Makes the rows of an attack. Each vantage shows its figures of the present phase; if it has none yet, those of its last phase.
fn figures(card: &AttackCard, course: &Course) -> Figures {
    let phase = course.phase.map(|(_, phase, ..)| phase);
    let vantages = card.figures.iter().filter_map(|row| {
        let of_phase = row.phases.iter().find(|figure| Some(figure.phase) == phase);
        let figure = of_phase.or(row.phases.last())?;
        Some(VantageRow {
            vantage: row.vantage.clone(),
            probe: row.probe.clone(),
            counts: row.counts,
            good: figure.good.map_or_else(|| "—".to_owned(), format::percent),
            p99: figure.p99_us.map_or_else(|| "—".to_owned(), format::micros),
            requests: figure.samples,
        })
    });
    let objectives = card.objectives.iter().map(|objective| ObjectiveRow {
        name: objective.name.clone(),
        goal: objective.goal.clone(),
        word: objective.verdict.word(),
        glyph: objective.verdict.glyph(),
        measured: measured(&objective.measured),
    });
    let of = match phase {
        Some(phase) => format!("{} of \"{}\"", phase_word(phase), card.name),
        None => format!("\"{}\"", card.name),
    };
    Figures { of, vantages: vantages.collect(), objectives: objectives.collect() }
}

/// Renders the part that shows the state of a run.
pub(super) fn of_state(course: &Course, figures: &Figures) -> Result<String, String> {
    part("state", context! { figures => value(figures), run => state::values(course, None) })
}

/// Renders the part about the beginning of a run.
pub(crate) fn of_head(run: Value) -> Result<String, String> {
    part("head", context! { run })
}

/// Renders the time axis.
pub(super) fn of_axis(axis: &Axis) -> Result<String, String> {
    let charts: Vec<Value> = axis
        .charts
        .iter()
        .map(|chart| context! { caption => &chart.caption, label => &chart.label, svg => &chart.svg })
        .collect();
    part("axis", context! { lanes => &axis.lanes, charts => charts })
}
