//! A wish of a person about the attacks that a run still has before it, and the run's reply. Both are sent over the run's socket.

use firedrill_wire::{
    Span,
    text::{self, TEXT_MOST, cleaned},
};
use serde::{Deserialize, Deserializer, Serialize};

/// A wish, and the person who has it.
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
    /// A pause before the next attack; of a run that pauses, another end of its pause.
    Pause {
        /// The maximum of the pause, counted from its beginning.
        longest: Span,
    },
    /// The end of a pause, or of the wish for one.
    Resume,
    /// The next attack is skipped.
    Skip {
        /// The place of the attack in the plan that is meant. If another one is next, nothing is skipped.
        attack: Option<usize>,
    },
    /// A person says what became of the step by hand that the run waits for, or of putting it back.
    Step {
        /// The place of the step in the plan that is meant. If the run waits for another one, nothing happens.
        step: Option<usize>,
        /// The outcome, as the person says it.
        answer: StepAnswer,
        /// A note; may be empty.
        #[serde(default, deserialize_with = "sentence")]
        note: String,
    },
}

/// The words of a person about a step by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepAnswer {
    /// It is done.
    Done,
    /// It could not be done, or not be put back.
    Failed,
    /// It is left out. Nothing was done.
    Skip,
    /// It is put back. A word of its own, because an answer about doing it may come late or twice.
    Back,
}

/// The reply of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// It does it: a sentence about the run, which begins with "it".
    Taken(#[serde(deserialize_with = "sentence")] String),
    /// It does nothing, for this reason.
    Refused(#[serde(deserialize_with = "sentence")] String),
    /// It has the wish, and is busy with questions to hosts, after which it looks at it.
    Later,
    /// It has ended.
    Over,
}

impl Reply {
    /// Returns it in words, of a program that may be somebody else's.
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

/// The maximum of a pause, unless the person says another.
pub const PAUSE: Span = Span::secs(30 * 60);

/// The maximum of all pauses of a run together. The time limits of probes and of log readers on hosts include it.
pub(super) const PAUSES_MOST: Span = Span::secs(3_600);

/// Reads a sentence of a program that may be somebody else's.
fn sentence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| cleaned(text, TEXT_MOST))
}
