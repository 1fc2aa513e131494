//! The measurements of a source, as serialized in `report.json`.

use serde::{Deserialize, Serialize};

/// The measurements of a source for one objective during one attack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricCard {
    /// The source.
    pub source: String,
    /// The question.
    pub asks: String,
    /// The unit of its values; empty where the scenario names none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// Number of samples that count.
    pub samples: u64,
    /// The worst sample; for a share or an increase, the figure over all judged phases.
    pub worst: Option<f64>,
    /// The time of the worst sample.
    #[serde(default)]
    pub worst_at_us: Option<i64>,
    /// Judged time that no sample is about.
    #[serde(default)]
    pub gaps: Vec<GapCard>,
    /// Uncertainty of the source's clock, in microseconds.
    pub unsure_us: i64,
    /// Number of questions.
    pub asked: u64,
    /// Number of questions without an answer.
    pub unanswered: u64,
    /// The median time that a question took, in microseconds.
    pub took_us: i64,
    /// The bound that samples are drawn with, where the goal has one.
    #[serde(default)]
    pub bound: Option<f64>,
    /// All samples around the attack.
    #[serde(default)]
    pub points: Vec<PointCard>,
}

/// A stretch of judged time that no sample is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GapCard {
    /// Its start.
    pub from_us: i64,
    /// Its end.
    pub until_us: i64,
    /// The reason, as far as it is known: a clause.
    pub why: String,
}

/// A sample as it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointCard {
    /// Its time.
    pub at_us: i64,
    /// Its value, the worst of all series; `None` where it shows nothing.
    pub value: Option<f64>,
    /// Whether it counts for the verdict.
    pub counts: bool,
}
