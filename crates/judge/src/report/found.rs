//! Findings as reports show them. They follow from many runs, so the caller passes them; nothing here opens or closes one.

use serde::Serialize;

/// A finding that has to do with the run, as reports show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// `open`, `closed` or `withdrawn`.
    pub state: String,
    /// The attack and the objective, in words.
    pub what: String,
    /// The times and the runs at which it was opened and closed, in words.
    pub course: String,
    /// The person or team that sees to it.
    pub owner: String,
    /// The ticket in which it is worked on.
    pub ticket: String,
    /// Anything else that people wrote.
    pub note: String,
    /// `low`, `medium`, `high` or `critical`; empty if nobody says so.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub severity: String,
    /// The drill that will show whether it is mended, if people named one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub follow_up: String,
}
