//! The errors of an injection: a refusal, an effect that was not made, and a look that failed.

use firedrill_wire::{
    RefusalCode,
    api::Problem,
    evidence::{Evidence, Seen},
};

/// The effect could not be made, or only in part. The part that was made is undone, and the injection is never tried
/// again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InjectError(pub String);

impl InjectError {
    /// Returns the evidence of a look that failed for this reason: nothing is known.
    #[must_use]
    pub fn unseen(self) -> Evidence {
        Evidence { in_force: Seen::Unknown, exercised: Seen::Unknown, count: None, detail: self.0 }
    }
}

/// Makes a refusal. If the hint is empty, the refusal gets the general hint of its code.
#[must_use]
pub fn refuse(code: RefusalCode, title: impl Into<String>, hint: impl Into<String>) -> Problem {
    let hint: String = hint.into();
    let hint = if hint.is_empty() { code.hint() } else { hint };
    Problem { code, title: title.into(), hint }
}
