//! The logs that agents read, as serialized in `report.json`.

use firedrill_plan::plan::model::Phase;
use serde::{Deserialize, Serialize};

use crate::log::KeptLine;

/// One log of a host during one attack, as its agent read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogCard {
    /// The log.
    pub log: String,
    /// The host.
    pub host: String,
    /// The file.
    pub file: String,
    /// The objectives that are judged by it.
    pub objectives: Vec<String>,
    /// The counts of each phase.
    pub phases: Vec<LogPhase>,
    /// Number of matching lines in each stretch of time that was read, for charts.
    pub points: Vec<LogPoint>,
}

/// The counts of a log in one phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogPhase {
    /// The phase.
    pub phase: Phase,
    /// Minimum number of matching lines.
    pub least: u64,
    /// Maximum number of matching lines; `None` if lines may have been missed.
    pub most: Option<u64>,
    /// The reason why lines may have been missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Number of lines that were too long to be searched completely.
    #[serde(default)]
    pub cut: u64,
    /// The first matching lines.
    #[serde(default)]
    pub lines: Vec<KeptLine>,
}

/// Matching lines in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPoint {
    /// Its start.
    pub from_us: i64,
    /// Its end.
    pub until_us: i64,
    /// Number of matching lines.
    pub matched: u64,
    /// Whether lines may have been missed.
    #[serde(default)]
    pub more: bool,
}
