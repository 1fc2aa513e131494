//! The reasons to stop a run early.

use crate::log::RunOutcome;

/// The reason why a run must stop early.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// A guard's condition.
    Guard(String),
    /// A person or a signal.
    Person(String),
    /// The run must not begin; nothing was touched.
    Refused(String),
    /// The coordinator slept.
    Slept(String),
    /// The run cannot go on.
    Failed(String),
}

impl Stop {
    /// Returns the reason in words.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Guard(why)
            | Self::Person(why)
            | Self::Refused(why)
            | Self::Slept(why)
            | Self::Failed(why) => why.clone(),
        }
    }

    /// Returns what becomes of the run.
    pub(crate) fn outcome(&self) -> RunOutcome {
        match self {
            Self::Guard(why) => RunOutcome::Guarded(why.clone()),
            Self::Person(why) | Self::Slept(why) => RunOutcome::Stopped(why.clone()),
            Self::Refused(why) => RunOutcome::Refused(why.clone()),
            Self::Failed(why) => RunOutcome::Failed(why.clone()),
        }
    }
}
