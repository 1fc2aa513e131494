//! Steps between attacks: what a person does by hand, and programs that the coordinator runs.

use std::borrow::Cow;

use firedrill_wire::{Span, hide};
use serde::{Deserialize, Serialize, Serializer};

use super::Then;

/// A step between attacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// The index of the attack before which it is done; the number of attacks for a step after the last attack.
    pub before: usize,
    /// Its content.
    pub does: Does,
    /// The maximum time that it takes.
    pub timeout: Span,
    /// Whether the run goes on if it fails, or if its outcome is not known.
    pub on_failure: Then,
}

/// The content of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Does {
    /// A person does it.
    Manual {
        /// The task of the person.
        text: String,
        /// The task of the person who puts it back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undo: Option<String>,
    },
    /// The coordinator runs a program that checks a condition.
    Check {
        /// The program and its arguments.
        #[serde(serialize_with = "shown")]
        argv: Vec<String>,
    },
    /// The coordinator runs a program that prepares something.
    Command {
        /// The program and its arguments.
        #[serde(serialize_with = "shown")]
        argv: Vec<String>,
    },
}

/// Serializes the words of a command without those that may be secrets. A plan that was read is shown, and never run.
pub(super) fn shown<S: Serializer>(argv: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    hide::argv(argv).serialize(serializer)
}

/// Returns a word in quotes if it would not be read as one word without them.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || "'\"".contains(c));
    if is_plain { Cow::Borrowed(word) } else { Cow::Owned(format!("'{}'", word.replace('\'', r"'\''"))) }
}

impl Does {
    /// Returns its kind in a word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Manual { .. } => "manual",
            Self::Check { .. } => "check",
            Self::Command { .. } => "command",
        }
    }

    /// Returns the program and its arguments; `None` if a person does it.
    #[must_use]
    pub fn argv(&self) -> Option<&[String]> {
        match self {
            Self::Manual { .. } => None,
            Self::Check { argv } | Self::Command { argv } => Some(argv),
        }
    }

    /// Returns what a person does to put it back.
    #[must_use]
    pub fn undo(&self) -> Option<&str> {
        match self {
            Self::Manual { undo, .. } => undo.as_deref(),
            Self::Check { .. } | Self::Command { .. } => None,
        }
    }

    /// Returns it for people: the text for a person, or the program with its arguments, quoted where a shell needs it, and without what
    /// may be a secret.
    #[must_use]
    pub fn said(&self) -> String {
        match self {
            Self::Manual { text, .. } => text.clone(),
            Self::Check { argv } | Self::Command { argv } => {
                hide::argv(argv).iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
            }
        }
    }
}

impl Step {
    /// Returns the longest time that it takes, with the time in which a person puts it back.
    #[must_use]
    pub fn longest(&self) -> Span {
        self.timeout + self.back()
    }

    /// Returns the longest time in which a person puts it back; zero if no person is asked to.
    #[must_use]
    pub fn back(&self) -> Span {
        if self.does.undo().is_some() { self.timeout } else { Span::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_shown_with_quotes_around_words_that_need_them() {
        let argv = ["sh", "-c", "echo it's on", "", "--all"].map(str::to_owned).to_vec();
        assert_eq!(Does::Check { argv }.said(), r"sh -c 'echo it'\''s on' '' --all");
    }
}
