//! The answers of a source about an alert, as the card of an attack has them.

use serde::{Deserialize, Serialize};

/// The answers of a source about an alert in one attack. Times are microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertCard {
    /// The source.
    pub source: String,
    /// The alert, in words.
    pub alert: String,
    /// Number of questions.
    pub asked: u64,
    /// Number of those without an answer.
    pub failed: u64,
    /// Time to detect: from the fault's start until it fired; `None` if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detected: Option<TookCard>,
    /// Time to resolve: from the heal until it was over; `None` if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<TookCard>,
    /// The stretches in which answers found it firing, on the run's clock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firing: Vec<FiringCard>,
}

/// The range of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TookCard {
    /// It took at least this long.
    pub low_us: i64,
    /// It took at most this long; `None` if it had not come to an end when it was last looked at.
    pub high_us: Option<i64>,
}

/// A stretch in which all answers found an alert firing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiringCard {
    /// The first answer that found it.
    pub from_us: i64,
    /// The last one.
    pub until_us: i64,
    /// The reason why no person was notified; `None` if people were notified at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hushed: Option<String>,
}
