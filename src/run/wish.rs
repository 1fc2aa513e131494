//! A person's wish about the coming attacks and steps of a run, and the run's reply. Both are sent over the run's socket. This module
//! only has the messages; it decides nothing.

use firedrill_wire::{
    Span,
    text::{self, TEXT_MOST, cleaned},
};
use serde::{Deserialize, Deserializer, Serialize};

/// A wish, and the person who sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// The person.
    #[serde(deserialize_with = "text::short")]
    pub by: String,
    /// The wish.
    pub wants: Wants,
}

/// The content of a wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wants {
    /// The run pauses before the next attack. If it pauses already, the maximum of the pause is changed.
    Pause {
        /// Maximum duration of the pause, counted from its beginning.
        longest: Span,
    },
    /// The pause ends, or the wish for a pause is withdrawn.
    Resume,
    /// The run skips the next attack.
    Skip {
        /// The index in the plan of the attack that the person means. If another attack is next, nothing is skipped. `None` means
        /// the next attack, whichever it is.
        attack: Option<usize>,
    },
    /// A person answers the question about a step by hand that the run waits for.
    Step {
        /// The index in the plan of the step that the person means. If the run waits for another step, nothing happens. `None` means
        /// the step that the run waits for.
        step: Option<usize>,
        /// The answer.
        answer: StepAnswer,
        /// A note; may be empty.
        #[serde(default, deserialize_with = "sentence")]
        note: String,
    },
}

/// A person's answer about a step by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepAnswer {
    /// The step is done.
    Done,
    /// The step could not be done, or could not be put back.
    Failed,
    /// The step is left out. Nothing was done.
    Skip,
    /// The step is put back. This is not `Done`, because an answer about doing the step may come late or twice.
    Back,
}

/// The reply of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// The run accepts the wish. The text is a clause about the run, which begins with "it".
    Taken(#[serde(deserialize_with = "sentence")] String),
    /// The run does nothing, for this reason.
    Refused(#[serde(deserialize_with = "sentence")] String),
    /// The run has received the wish but is busy with questions to hosts. It looks at the wish after that.
    Later,
    /// The run has ended.
    Over,
}

impl Reply {
    /// Returns the reply as a clause about the program that sent it, for people. That program may belong to another user.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Taken(text) => text.clone(),
            Self::Refused(why) => format!("it refuses: {why}"),
            Self::Later => "it has been told".to_owned(),
            Self::Over => "it has ended".to_owned(),
        }
    }
}

/// The default maximum of a pause.
pub const PAUSE: Span = Span::secs(30 * 60);

/// The maximum of all pauses of a run together. The time limits of probes and of log readers on hosts include it.
pub(super) const PAUSES_MOST: Span = Span::secs(3_600);

/// Reads a text from a program that may belong to another user: control characters are replaced, and a long text is cut.
fn sentence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| cleaned(text, TEXT_MOST))
}
