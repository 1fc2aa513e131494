//! What reports show of findings. They follow from many runs, so whoever knows those gives them; nothing here opens or closes one.

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
    /// When it was opened and by which run, and the same for its end, in words.
    pub course: String,
    /// The person or team that sees to it.
    pub owner: String,
    /// Where it is worked on.
    pub ticket: String,
    /// Anything else that people wrote.
    pub note: String,
}
