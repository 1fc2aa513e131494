//! The reasons to stop a run early. Stops nothing itself.

use crate::log::RunOutcome;

/// The reason why a run must stop early. Each variant has a sentence for people.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// A guard's condition was met.
    Guard(String),
    /// A person or a signal stopped the run.
    Person(String),
    /// The run must not begin. Nothing was touched.
    Refused(String),
    /// The coordinator's machine slept, or its process did not run for a while.
    Slept(String),
    /// The run cannot go on.
    Failed(String),
}

impl Stop {
    /// Returns the reason, for people.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Guard(why)
            | Self::Person(why)
            | Self::Refused(why)
            | Self::Slept(why)
            | Self::Failed(why) => why.clone(),
        }
    }

    /// Returns the outcome of a run that stops for this reason.
    pub(crate) fn outcome(&self) -> RunOutcome {
        match self {
            Self::Guard(why) => RunOutcome::Guarded(why.clone()),
            Self::Person(why) | Self::Slept(why) => RunOutcome::Stopped(why.clone()),
            Self::Refused(why) => RunOutcome::Refused(why.clone()),
            Self::Failed(why) => RunOutcome::Failed(why.clone()),
        }
    }
}
