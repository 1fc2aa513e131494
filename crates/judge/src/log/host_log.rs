//! Records of the lines that an agent read in a log of its host, as the log of the run has them.

use firedrill_wire::is_default;
use serde::{Deserialize, Serialize};

/// The lines that an agent counted in one log in about a second, or in a longer time without a matching line. Times are microseconds on
/// the run's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLog {
    /// The log.
    pub log: String,
    /// The host.
    pub host: String,
    /// The number of the agent's newest bin in it.
    pub bin: u64,
    /// The lines that were written between this time and `until_us` were read.
    pub from_us: i64,
    /// See `from_us`.
    pub until_us: i64,
    /// Number of lines.
    #[serde(default)]
    pub lines: u64,
    /// Number of lines that match.
    #[serde(default)]
    pub matched: u64,
    /// The lines that match were written between this and `last_us`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_us: Option<i64>,
    /// See `first_us`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_us: Option<i64>,
    /// Number of lines that do not match so far, and were too long to be searched completely.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cut: u64,
    /// The reason why lines may not have been counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<String>,
    /// The reason why nothing could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
    /// The first matching lines of a phase.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<KeptLine>,
}

/// A line, without what may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLine {
    /// The time at which it was read.
    pub at_us: i64,
    /// Its text.
    pub text: String,
}

impl HostLog {
    /// Whether it has no news: nothing that matches, and nothing that was missed.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.matched == 0 && self.cut == 0 && self.missed.is_none()
    }
}
