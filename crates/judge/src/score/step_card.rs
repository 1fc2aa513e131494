//! The result of a step between attacks, as serialized in `report.json`.

use serde::{Deserialize, Serialize};

use crate::{
    log::{ProgramEnd, StepOutcome},
    verdict::Verdict,
};

/// The result of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepCard {
    /// Its index in the plan, from 0.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// The index of the attack before which it is done; the number of attacks for a step after the last attack.
    pub before: usize,
    /// Its kind: `manual`, `check` or `command`.
    pub kind: String,
    /// The task of a person, or the program with its arguments.
    pub says: String,
    /// The outcome; `None` if it did not begin, or if the log ends before.
    pub outcome: Option<StepOutcome>,
    /// The verdict of a check, or of another step that failed or is unknown. `None` if the step decides nothing.
    pub verdict: Option<Verdict>,
    /// Its course, a sentence.
    pub why: String,
    /// Its start.
    pub from_us: Option<i64>,
    /// Its end.
    pub until_us: Option<i64>,
    /// The end of its program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<ProgramEnd>,
    /// Whether it was put back; `None` unless it is a step by hand that has to be put back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<BackCard>,
}

/// Whether a step by hand was put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackCard {
    /// The task of the person who puts it back.
    pub says: String,
    /// Whether it is proven that nothing of the step is left: it never began, was skipped, or a person says that it was put back.
    pub is_back: bool,
    /// Its course, a sentence.
    pub why: String,
    /// The time at which a person said that it was put back, or at which the run stopped waiting.
    pub at_us: Option<i64>,
}
