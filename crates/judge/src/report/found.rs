//! Findings as reports show them. A finding depends on many runs, so the caller passes the findings. This module never opens or closes one.

use serde::Serialize;

/// A finding about the run, as reports show it.
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
    /// The person or team that is responsible for it; may be empty.
    pub owner: String,
    /// The ticket in which it is worked on; may be empty.
    pub ticket: String,
    /// Other remarks of people; may be empty.
    pub note: String,
    /// `low`, `medium`, `high` or `critical`; empty if nobody says so.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub severity: String,
    /// The drill that will show whether it is mended, if people named one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub follow_up: String,
}
