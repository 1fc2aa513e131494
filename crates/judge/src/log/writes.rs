//! Records of comparisons of a vantage's write record with its store, as the log of the run has them.

use firedrill_wire::writes::Counts;
use serde::{Deserialize, Serialize};

use super::Moment;

/// A vantage read back what it wrote. Times are microseconds on the run's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WritesRead {
    /// The attack, by its place in the plan.
    pub attack: usize,
    /// Before the fault, or after the recovery.
    pub moment: Moment,
    /// `coordinator` or a host's name.
    pub vantage: String,
    /// The probe that wrote.
    pub probe: String,
    /// Its start; the record is written at the end.
    pub from_us: i64,
    /// The number of all writes of the run so far in each class; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// The first and the last of the acknowledged writes that are newly lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<WriteExample>,
    /// The first and the last of the refused writes that the store has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ghosts: Vec<WriteExample>,
    /// The reason why it is not known, or not everything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// One write, as an example of its class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteExample {
    /// Its number.
    pub seq: u64,
    /// The time at which it was due; absent where the vantage's clock was not known then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_us: Option<i64>,
    /// The time at which it was acknowledged or refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_us: Option<i64>,
    /// Whether the first of the two passes found it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// The cause of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}
