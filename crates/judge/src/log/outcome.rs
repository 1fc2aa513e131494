//! The outcomes of attacks and of runs, as the log has them.

use serde::{Deserialize, Serialize};

/// The outcome of an attack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It went through all its phases.
    Ran,
    /// It was begun and healed before its end.
    Aborted(String),
    /// It was not begun; with the reason.
    NotRun(String),
    /// It was on another host of a moving target than the leader, or the leader was not known; with the reason. It has no part in the verdict.
    Spared(String),
}

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// All attacks had their turn (some may be `not run`).
    Completed,
    /// A guard aborted it.
    Guarded(String),
    /// A person or a signal stopped it.
    Stopped(String),
    /// An agent refused, or the first baseline did not hold; nothing was touched.
    Refused(String),
    /// It could not go on: sleep, no settling, a stuck host, a time limit.
    Failed(String),
}

impl RunOutcome {
    /// Returns the reason in words.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Completed => "it is complete",
            Self::Guarded(why) | Self::Stopped(why) | Self::Refused(why) | Self::Failed(why) => why,
        }
    }
}
