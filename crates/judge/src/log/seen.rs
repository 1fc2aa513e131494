//! Records of the answers of a source about an alert.

use serde::{Deserialize, Serialize};

/// The clock of a source against the run's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceClock {
    /// The time of the source at the run's time 0, in microseconds since 1970.
    pub zero_us: i64,
    /// The uncertainty of that, in microseconds.
    pub unsure_us: i64,
}
