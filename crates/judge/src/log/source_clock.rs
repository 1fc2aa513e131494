//! The clock of a source of alerts, as the record of its answer has it.

use serde::{Deserialize, Serialize};

/// The clock of a source against the run's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceClock {
    /// The time of the source at the run's time 0, in microseconds since 1970.
    pub zero_us: i64,
    /// Maximum error of `zero_us` in either direction, in microseconds.
    pub unsure_us: i64,
}
