//! Decides whether a scenario has held in another environment before (`[requires]`). Reads no index: the caller gives the runs.

use firedrill_wire::Span;

use crate::file::Requires;

/// The facts about a run that this decision needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// Its beginning, in seconds since 1970.
    pub began_s: i64,
    /// The environment of its plan.
    pub environment: Option<String>,
    /// Whether it held: its exit code was 0.
    pub held: bool,
    /// The result in a word, such as `held`, `violated`, `unknown` or `refused`.
    pub result: &'static str,
    /// The digest of the scenario's files; older logs do not have it.
    pub files: Option<String>,
    /// The scenario's name.
    pub scenario: Option<String>,
}

/// The state of a promotion. "There" means in the required environment. "In time" means within the required time before the slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// This run of the same files held there in time.
    Held(Run),
    /// The newest run of the same files that held there began too long ago.
    TooLongAgo(Run),
    /// The newest run of the same files there did not hold, and no run of these files held there in time.
    DidNotHold(Run),
    /// This run of a scenario of the same name held there in time, and its log does not say which files it ran.
    Unknown(Run),
    /// This run of a scenario of the same name held there in time, with other files.
    Changed(Run),
    /// No run of the same files is known that began there before the slot, however long ago.
    Never,
}

impl Promotion {
    /// Looks for the run that `requires` asks for. `name` and `files` are the scenario's name and the digest of its files; `at_s` is the time of the
    /// slot, in seconds since 1970.
    #[must_use]
    pub fn of(requires: &Requires, name: &str, files: &str, at_s: i64, runs: &[Run]) -> Self {
        let within = i64::try_from(requires.held_within.0.as_secs()).unwrap_or(i64::MAX);
        // The runs in that environment, the newest first.
        let mut there: Vec<&Run> = runs
            .iter()
            .filter(|run| run.environment.as_deref() == Some(&requires.environment) && run.began_s <= at_s)
            .collect();
        there.sort_by_key(|run| std::cmp::Reverse(run.began_s));
        let in_time = |run: &&Run| at_s.saturating_sub(run.began_s) <= within;
        let same: Vec<&Run> =
            there.iter().copied().filter(|run| run.files.as_deref() == Some(files)).collect();
        if let Some(run) = same.iter().copied().filter(in_time).find(|run| run.held) {
            return Self::Held((*run).clone());
        }
        if let Some(run) = same.iter().copied().find(in_time) {
            return Self::DidNotHold((*run).clone());
        }
        let held_by_name =
            || there.iter().copied().filter(|run| run.held && run.scenario.as_deref() == Some(name));
        if let Some(run) = held_by_name().filter(in_time).find(|run| run.files.is_none()) {
            return Self::Unknown(run.clone());
        }
        if let Some(run) = same.iter().find(|run| run.held) {
            return Self::TooLongAgo((*run).clone());
        }
        if let Some(run) = held_by_name().find(in_time) {
            return Self::Changed(run.clone());
        }
        same.first().map_or(Self::Never, |run| Self::DidNotHold((*run).clone()))
    }

    /// Returns a clause for people. `day` formats a moment in seconds since 1970.
    #[must_use]
    pub fn words(&self, requires: &Requires, day: &dyn Fn(i64) -> String) -> String {
        let (place, within): (&str, Span) = (&requires.environment, requires.held_within);
        match self {
            Self::Held(run) => format!("held on {} in {place} (run {})", day(run.began_s), run.id),
            Self::TooLongAgo(run) => {
                let (on, id) = (day(run.began_s), &run.id);
                format!("missing: held on {on} in {place} (run {id}), more than {within} before the slot")
            }
            Self::DidNotHold(run) => {
                let (on, id, result) = (day(run.began_s), &run.id, run.result);
                format!(
                    "missing: the newest run of these files in {place}, on {on}, is `{result}` (run {id})"
                )
            }
            Self::Unknown(run) => {
                let (on, id) = (day(run.began_s), &run.id);
                format!(
                    "unknown: a run of that name held on {on} in {place} (run {id}), and its log does not say which files it ran"
                )
            }
            Self::Changed(run) => {
                let (on, id) = (day(run.began_s), &run.id);
                format!(
                    "missing: held on {on} in {place} (run {id}), and its files have changed since, or only some of its attacks were drawn"
                )
            }
            Self::Never => format!("missing: no run of these files in {place} before the slot is known"),
        }
    }
}

#[cfg(test)]
mod tests;
