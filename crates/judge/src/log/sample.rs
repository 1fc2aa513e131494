//! Samples: the answer of a source about one moment, as the log has it.

use firedrill_wire::is_default;
use serde::{Deserialize, Serialize};

/// The answer of a source about one moment of an objective. Times are microseconds on the run's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The moment, mapped from the source's clock to the run's.
    pub at_us: i64,
    /// The length of time before that moment that the value describes because of its query, such as 10 s of `rate(x[10s])`.
    #[serde(default)]
    pub window_us: i64,
    /// The part of `window_us` that each value in the source already describes, for example a value of a recording rule.
    #[serde(default, skip_serializing_if = "is_default")]
    pub own_us: i64,
    /// The age of the oldest data behind the value at that moment.
    #[serde(default)]
    pub age_us: i64,
    /// The lowest value of all series; for a share the good events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The highest value of all series; for a share the good events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// For a share: all events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
    /// Number of series.
    #[serde(default)]
    pub series: u32,
    /// Number of series behind the value, for each selector of the query; empty if the source does not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<u32>,
    /// The reason why it shows nothing, or only that the value is beyond a bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks: Option<Lack>,
    /// Number of packets or lines that were lost.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lost: u64,
}

impl Sample {
    /// Returns the beginning of the time that the value describes. Its data go back as far as the range of the query, or as their age if
    /// that is more. Each of the data describes a time of `own_us` before it.
    #[must_use]
    pub fn from_us(&self) -> i64 {
        let range_us = self.window_us.saturating_sub(self.own_us);
        self.at_us.saturating_sub(self.own_us.saturating_add(range_us.max(self.age_us)))
    }
}

/// The reason why a sample shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lack {
    /// The source answered without a value for the moment.
    Empty,
    /// The data behind the value were too old.
    Stale,
    /// The value is no number (`NaN`), such as a share of nothing.
    NotANumber,
    /// There are several series, and the goal is about one.
    Several,
    /// The kernel dropped packets that may have been about it.
    Dropped,
    /// Lines that were about it could not be read.
    Unreadable,
    /// Lines about it were read after its value had been returned.
    Late,
    /// There are more series, or different values, than are kept.
    TooMany,
    /// Its senders were silent for so long that they may be dead.
    Silent,
    /// The metric is of another type than what is asked.
    OtherType,
    /// Only changes of a gauge were seen, and not its value.
    OnlyChanges,
    /// Only a share of its events was sent, and the others may decide.
    Sampled,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

impl Lack {
    /// Whether the values of such a sample are still bounds of the true values.
    #[must_use]
    pub const fn has_bounds(self) -> bool {
        matches!(
            self,
            Self::NotANumber
                | Self::Dropped
                | Self::Unreadable
                | Self::Late
                | Self::TooMany
                | Self::Silent
                | Self::OnlyChanges
                | Self::Sampled
        )
    }

    /// Returns the plural word for the things that were lost; empty where they are not counted.
    #[must_use]
    pub const fn of_what(self) -> &'static str {
        match self {
            Self::Dropped => "packets",
            Self::Unreadable | Self::Late => "lines",
            _ => "",
        }
    }

    /// Returns the reason in words, for a count of samples.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Stale => "stale",
            Self::NotANumber => "not a number",
            Self::Several => "of several series",
            Self::Dropped => "of which the kernel dropped packets",
            Self::Unreadable => "of which lines could not be read",
            Self::Late => "of which lines were read too late",
            Self::TooMany => "of more series or different values than are kept",
            Self::Silent => "of senders that may be dead",
            Self::OtherType => "of another type than what is asked",
            Self::OnlyChanges => "of a gauge whose value was not sent",
            Self::Sampled => "of a sample rate whose unsent events may decide",
            Self::Other => "without a value, for a reason that this version does not know",
        }
    }
}
