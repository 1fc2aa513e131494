//! Whether a scenario has held elsewhere before. Knows no index: the runs are given.

use firedrill_wire::Span;

use crate::file::Requires;

/// A run, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// Its begin, in seconds since 1970.
    pub began_s: i64,
    /// The environment of its plan.
    pub environment: Option<String>,
    /// Whether it held: its exit code was 0.
    pub held: bool,
    /// The digest of the scenario's files; older logs do not have it.
    pub files: Option<String>,
    /// The scenario's name.
    pub scenario: Option<String>,
}

/// What is known of a promotion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// This run held, in time.
    Held(Run),
    /// The newest run that held is too long ago.
    TooLongAgo(Run),
    /// The newest run of the same files there did not hold, and none before in time did.
    DidNotHold(Run),
    /// A run of that name held there in time, and its log does not say which files it ran.
    Unknown(Run),
    /// A run of that name held there in time, with other files.
    Changed(Run),
    /// No run of that name is known there.
    Never,
}

impl Promotion {
    /// Looks for the run that is required of a scenario, at a moment in seconds since 1970. `files` is the digest of the scenario's
    /// files, `name` its name.
    #[must_use]
    pub fn of(requires: &Requires, name: &str, files: &str, at_s: i64, runs: &[Run]) -> Self {
        let within = i64::try_from(requires.held_within.0.as_secs()).unwrap_or(i64::MAX);
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
        let named = || there.iter().copied().filter(|run| run.held && run.scenario.as_deref() == Some(name));
        if let Some(run) = named().filter(in_time).find(|run| run.files.is_none()) {
            return Self::Unknown(run.clone());
        }
        if let Some(run) = same.iter().find(|run| run.held) {
            return Self::TooLongAgo((*run).clone());
        }
        if let Some(run) = named().find(in_time) {
            return Self::Changed(run.clone());
        }
        same.first().map_or(Self::Never, |run| Self::DidNotHold((*run).clone()))
    }

    /// Whether the game day may be held.
    #[must_use]
    pub const fn holds(&self) -> bool {
        matches!(self, Self::Held(_))
    }

    /// Returns a word for machines.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Held(_) => "held",
            Self::TooLongAgo(_) => "too-long-ago",
            Self::DidNotHold(_) => "did-not-hold",
            Self::Unknown(_) => "unknown",
            Self::Changed(_) => "changed",
            Self::Never => "never",
        }
    }

    /// Returns the run that it is about.
    #[must_use]
    pub const fn run(&self) -> Option<&Run> {
        match self {
            Self::Held(run)
            | Self::TooLongAgo(run)
            | Self::DidNotHold(run)
            | Self::Unknown(run)
            | Self::Changed(run) => Some(run),
            Self::Never => None,
        }
    }

    /// Returns a clause for people; `day` formats a moment.
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
                format!("missing: the run on {} in {place} did not hold (run {})", day(run.began_s), run.id)
            }
            Self::Unknown(run) => {
                let (on, id) = (day(run.began_s), &run.id);
                format!(
                    "unknown: a run of that name held on {on} in {place} (run {id}), and its log does not say which files it ran"
                )
            }
            Self::Changed(run) => {
                let (on, id) = (day(run.began_s), &run.id);
                format!("missing: held on {on} in {place} (run {id}), and its files have changed since")
            }
            Self::Never => format!("missing: no run in {place} within {within} before the slot"),
        }
    }
}
