//! The three verdicts, and the exit codes that the program ends with.

use serde::{Deserialize, Serialize};

/// The result of judging. The worst wins: violated, then unknown, then held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It was measured, and it held.
    Held,
    /// It could not be measured, or the fault did not land.
    Unknown,
    /// It was measured, and it did not hold.
    Violated,
}

impl Verdict {
    /// Returns a symbol to stand beside the word, for people who cannot distinguish the colours.
    #[must_use]
    pub const fn glyph(self) -> &'static str {
        match self {
            Self::Held => "✓",
            Self::Violated => "✕",
            Self::Unknown => "?",
        }
    }

    /// Returns the word that reports use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Unknown => "unknown",
            Self::Violated => "violated",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

/// The program's exit code. Documented and stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// All objectives held.
    Held = 0,
    /// An objective was violated, or a guard aborted the run.
    Violated = 1,
    /// Bad usage, or a scenario or fleet that is wrong.
    Usage = 2,
    /// Something could not be measured or did not land.
    Unknown = 3,
    /// Refused; nothing was touched.
    Refused = 4,
    /// Stopped by a person (or the machine slept) and healed.
    Stopped = 5,
    /// Something may not have been put back.
    Unclean = 6,
    /// All that is known was undone, but a host's records of its faults are damaged or lost.
    Lost = 7,
    /// A bug in Firedrill.
    Bug = 70,
}

impl Exit {
    /// Returns the exit code of that number. Any other number counts as a bug.
    #[must_use]
    pub fn of_code(code: u8) -> Self {
        let all = [
            Self::Held,
            Self::Violated,
            Self::Usage,
            Self::Unknown,
            Self::Refused,
            Self::Stopped,
            Self::Unclean,
            Self::Lost,
            Self::Bug,
        ];
        all.into_iter().find(|exit| *exit as u8 == code).unwrap_or(Self::Bug)
    }

    /// Returns the result for people, in a few words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Violated => "violated",
            Self::Unknown => "unknown",
            Self::Usage | Self::Refused => "refused",
            Self::Stopped => "stopped",
            Self::Unclean => "unclean",
            Self::Lost => "records lost",
            Self::Bug => "failed by a bug",
        }
    }

    /// Returns the word for the end of a run if that matters more than the verdict, such as `refused`; otherwise `None`.
    #[must_use]
    pub const fn above(self) -> Option<&'static str> {
        match self {
            Self::Refused => Some("refused"),
            Self::Stopped => Some("stopped"),
            Self::Unclean => Some("unclean"),
            _ => None,
        }
    }

    /// Returns the exit code with higher priority: 6, 7, 70, 1, 5, 3, 4, 2, 0.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Self::Unclean => 8,
            Self::Lost => 7,
            Self::Bug => 6,
            Self::Violated => 5,
            Self::Stopped => 4,
            Self::Unknown => 3,
            Self::Refused => 2,
            Self::Usage => 1,
            Self::Held => 0,
        };
        if rank(self) >= rank(other) { self } else { other }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_wins() {
        assert_eq!(Verdict::Held.max(Verdict::Unknown).max(Verdict::Violated), Verdict::Violated);
        assert_eq!(Exit::Violated.worst(Exit::Unclean), Exit::Unclean);
        assert_eq!(Exit::Unknown.worst(Exit::Stopped), Exit::Stopped);
    }

    #[test]
    fn an_end_that_matters_more_than_the_verdict_has_its_own_word() {
        let words = [4, 5, 6].map(|code| Exit::of_code(code).above());
        assert_eq!(words, [Some("refused"), Some("stopped"), Some("unclean")]);
        assert!([0, 1, 2, 3, 7, 70].into_iter().all(|code| Exit::of_code(code).above().is_none()));
    }
}
