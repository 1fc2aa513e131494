//! The counts of hosts' logs, for people: a row for each phase with matching lines or with doubts, and its first lines.

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
    /// The host, or the hosts of which the same is told.
    pub(crate) host: String,
    /// Each name.
    pub(crate) hosts: Vec<String>,
    pub(crate) file: String,
    pub(crate) phase: String,
    pub(crate) count: String,
    pub(crate) why: String,
    pub(crate) lines: Vec<LineView>,
}

/// A line.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LineView {
    pub(crate) at: String,
    pub(crate) text: String,
}

impl LogView {
    /// Returns the rows of an attack: each phase with lines or doubts, and one row for each log without any. If there are too many,
    /// doubts stay first, then lines; a sentence tells how many are left out.
    pub(super) fn all(attack: &AttackCard) -> (Vec<Self>, String) {
        let rows: Vec<(f64, Self)> = attack.logs.iter().flat_map(of_log).collect();
        let (rows, fewer) = few::worst(&rows, ROWS, |(badness, _)| *badness);
        // Hosts of which the same is told are one row.
        let key =
            |row: &Self| format!("{:?}", Self { host: String::new(), hosts: Vec::new(), ..row.clone() });
        let rows = rows.into_iter().map(|(_, row)| row.clone()).collect();
        (folded(rows, key, |row| (&mut row.host, &mut row.hosts)), fewer)
    }
}

/// Returns the rows of a log, each with its badness.
fn of_log(log: &LogCard) -> Vec<(f64, LogView)> {
    let told = |one: &&LogPhase| one.least > 0 || one.most != Some(0);
    let badness = |one: &LogPhase| if one.most == Some(one.least) { 1.0 } else { 2.0 };
    let rows: Vec<(f64, LogView)> =
        log.phases.iter().filter(told).map(|phase| (badness(phase), of_phase(log, phase))).collect();
    if !rows.is_empty() || log.phases.is_empty() {
        return rows;
    }
    vec![(0.0, row(log, "all phases".to_owned(), "none".to_owned()))]
}

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
