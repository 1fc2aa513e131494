//! The result of an undo action.

use firedrill_wire::api::Claim;

/// The result of an undo action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// The actions that were done, or had been done already.
    pub detail: String,
    /// Changes by others meanwhile. An entry for an object that is left to them begins with the object's name in
    /// claims: see [`Undone::left`].
    pub foreign: Vec<String>,
}

impl Undone {
    /// Leaves an object as somebody else has set it since. The object of `claim` no longer belongs to this run.
    #[must_use]
    pub fn left(claim: &str, detail: String, why: &str) -> Self {
        Self { foreign: vec![format!("{claim}: {detail}: {why}")], detail }
    }
}

/// Whether one of these entries says that the claimed object was left to somebody else.
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
