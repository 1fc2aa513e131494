//! Write records that are compared with their store: what a coordinator asks a vantage, and what it answers. Pure data.

use serde::{Deserialize, Serialize};

use crate::{RunId, text};

/// The vantage of a run, by which the keys of its records differ from those of all others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The run.
    pub run: RunId,
    /// The vantage's name in the fleet.
    pub vantage: String,
}

/// The comparisons of a run on a vantage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadBacks {
    /// One for each probe that writes.
    pub all: Vec<ReadBack>,
}

/// One comparison of a write record with its store. It covers all writes of the run that had ended before it began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadBack {
    /// The probe's name.
    pub probe: String,
    /// The boot that the times belong to.
    pub boot_id: String,
    /// The time at which it began, by the vantage's CLOCK_BOOTTIME, in microseconds.
    pub began_us: u64,
    /// The time at which it ended, by the same clock.
    pub ended_us: u64,
    /// The number of writes in each class; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// The first and the last of the writes that are newly lost, in the order of their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Example>,
    /// The first and the last of the refused writes that the store has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ghosts: Vec<Example>,
    /// The reason why the comparison is not known, or does not tell everything: a pass failed, or the record is damaged.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text::short_option")]
    pub failed: Option<String>,
}

/// The number of writes in each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Writes that the store acknowledged.
    pub acked: u64,
    /// Acknowledged writes that the store has.
    pub kept: u64,
    /// Acknowledged writes that neither pass found, and that no earlier comparison told.
    pub lost: u64,
    /// Acknowledged writes that only the first pass found.
    pub lost_late: u64,
    /// Acknowledged writes that the store lacks, as an earlier comparison told.
    pub lost_before: u64,
    /// Acknowledged writes that were found more than once in a pass.
    pub duplicate: u64,
    /// Acknowledged writes that were not found at first, and then were.
    pub stale: u64,
    /// Acknowledged writes that the store has with another value.
    pub altered: u64,
    /// Writes that the store refused.
    pub refused: u64,
    /// Refused writes that the store has.
    pub ghost: u64,
    /// Writes with an unknown outcome that the store has.
    pub unknown_present: u64,
    /// Writes with an unknown outcome that the store lacks.
    pub unknown_absent: u64,
    /// Records in the store that no write of the record explains.
    pub foreign: u64,
}

impl Counts {
    /// Returns the number of all writes.
    #[must_use]
    pub const fn writes(&self) -> u64 {
        self.acked + self.refused + self.unknown()
    }

    /// Returns the number of writes with an unknown outcome.
    #[must_use]
    pub const fn unknown(&self) -> u64 {
        self.unknown_present + self.unknown_absent
    }

    /// Returns the number of acknowledged writes that the store lacks, whoever told so first.
    #[must_use]
    pub const fn gone(&self) -> u64 {
        self.lost + self.lost_late + self.lost_before
    }

    /// Returns the number of acknowledged writes that this comparison told as lost first.
    #[must_use]
    pub const fn newly_lost(&self) -> u64 {
        self.lost + self.lost_late
    }
}

/// One write, as an example of its class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// Its number.
    pub seq: u64,
    /// The time at which it was due, by the vantage's CLOCK_BOOTTIME, in microseconds; 0 for a write of another boot.
    pub due_us: u64,
    /// The time at which it was acknowledged or refused, by the same clock.
    pub at_us: u64,
    /// Whether the first pass found it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// The cause of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text::short_option")]
    pub cause: Option<String>,
}
