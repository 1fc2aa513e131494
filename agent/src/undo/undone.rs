//! The result of an undo action. Data only.

use firedrill_wire::api::Claim;

/// The result of an undo action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// A sentence on what was done, or had been done already, for people.
    pub detail: String,
    /// Sentences on changes that others made meanwhile. If an object is left as they have set it, the sentence begins with the object's
    /// name in claims: see [`Undone::left`].
    pub foreign: Vec<String>,
}

impl Undone {
    /// Makes the result for an object that is left as somebody else has set it since. `claim` is the object's name in claims: the object
    /// no longer belongs to this run.
    #[must_use]
    pub fn left(claim: &str, detail: String, why: &str) -> Self {
        Self { foreign: vec![format!("{claim}: {detail}: {why}")], detail }
    }
}

/// Whether one of these sentences says that the claimed object was left as somebody else has set it.
#[must_use]
pub fn is_left(claim: &Claim, foreign: &[String]) -> bool {
    foreign
        .iter()
        .any(|text| text.strip_prefix(claim.what.as_str()).is_some_and(|rest| rest.starts_with(": ")))
}

/// An undo action failed.
#[derive(Debug, thiserror::Error)]
#[error("{what}; by hand: {by_hand}")]
pub struct UndoError {
    /// The attempt, its object, and the error.
    pub what: String,
    /// The command by which a person can do it.
    pub by_hand: String,
    /// Whether a later try may succeed (a bus that is down for a moment).
    pub passing: bool,
}
