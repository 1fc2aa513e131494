//! The outcomes of steps between attacks, as the log has them.

use serde::{Deserialize, Serialize};

/// The outcome of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepOutcome {
    /// It was done: a person said so, or the program ended with exit code 0.
    Done,
    /// It failed: a person said so, or the program ended with another exit code.
    Failed,
    /// It is not known: no person said anything in time, or the program gave no exit code.
    Unknown,
    /// A person wanted it to be skipped. Nothing was done.
    Skipped,
}

impl StepOutcome {
    /// Returns the word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
        }
    }
}

/// The end of a program that the coordinator ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramEnd {
    /// Its exit code; none if it ended in another way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// The time that it took, in microseconds.
    pub took_us: i64,
    /// The last lines that it wrote, without what may be a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// Number of lines before them that were left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}
