//! Describes the counts of hosts' logs as rows of a table: a row for each phase with matching lines or with doubts, with the first lines.

use serde::Serialize;

use super::{few, few::folded};
use crate::score::{
    card::{AttackCard, LogCard, LogPhase, phase_word},
    format,
};

/// Maximum number of rows of an attack.
const ROWS: usize = 60;

/// The counts of a log in one phase, or in all of them.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LogView {
    pub(crate) log: String,
    /// The host, or the names of several hosts as one text.
    pub(crate) host: String,
    /// The hosts' names in full.
    pub(crate) hosts: Vec<String>,
    pub(crate) file: String,
    pub(crate) phase: String,
    pub(crate) count: String,
    /// The reason why the count is not exact; empty if it is.
    pub(crate) why: String,
    pub(crate) lines: Vec<LineView>,
}

/// A matching line.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LineView {
    pub(crate) at: String,
    pub(crate) text: String,
}

impl LogView {
    /// Returns the rows of an attack: one for each phase of a log with matching lines or doubts, and one for each log without any. If there
    /// are more than [`ROWS`], rows with doubts are kept first, then rows with lines. The text is a sentence if rows are left out, otherwise
    /// empty.
    pub(super) fn all(attack: &AttackCard) -> (Vec<Self>, String) {
        let rows: Vec<(f64, Self)> = attack.logs.iter().flat_map(of_log).collect();
        let (rows, fewer) = few::worst(&rows, ROWS, |(badness, _)| *badness);
        // Hosts whose rows differ only by the name share a row.
        let key =
            |row: &Self| format!("{:?}", Self { host: String::new(), hosts: Vec::new(), ..row.clone() });
        let rows = rows.into_iter().map(|(_, row)| row.clone()).collect();
        (folded(rows, key, |row| (&mut row.host, &mut row.hosts)), fewer)
    }
}

/// Returns the rows of a log, each with its badness: 2 with doubts, 1 with an exact count, 0 without lines.
fn of_log(log: &LogCard) -> Vec<(f64, LogView)> {
    let has_row = |phase: &&LogPhase| phase.least > 0 || phase.most != Some(0);
    let badness = |phase: &LogPhase| if phase.most == Some(phase.least) { 1.0 } else { 2.0 };
    let rows: Vec<(f64, LogView)> =
        log.phases.iter().filter(has_row).map(|phase| (badness(phase), of_phase(log, phase))).collect();
    if !rows.is_empty() || log.phases.is_empty() {
        return rows;
    }
    vec![(0.0, row(log, "all phases".to_owned(), "none".to_owned()))]
}

/// Returns the row of a log in one phase.
fn of_phase(log: &LogCard, phase: &LogPhase) -> LogView {
    let count = match phase.most {
        Some(most) if most == phase.least => most.to_string(),
        Some(most) => format!("{} – {most}", phase.least),
        None => format!("at least {}", phase.least),
    };
    let lines =
        phase.lines.iter().map(|line| LineView { at: format::clock(line.at_us), text: line.text.clone() });
    let why = phase.why.clone().unwrap_or_default();
    LogView { why, lines: lines.collect(), ..row(log, phase_word(phase.phase).to_owned(), count) }
}

/// Returns a row without lines and doubts.
fn row(log: &LogCard, phase: String, count: String) -> LogView {
    LogView {
        log: log.log.clone(),
        host: log.host.clone(),
        hosts: vec![log.host.clone()],
        file: log.file.clone(),
        phase,
        count,
        why: String::new(),
        lines: Vec::new(),
    }
}
