//! An entry of `[[attack]]` without a fault: a step that a person takes, or a program that the coordinator runs.

use firedrill_wire::{Span, text::joined};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::diagnostic::Spot;
use crate::plan::model::{Does, Then};

/// The keys of which a step has exactly one, and an attack none.
pub(crate) const KINDS: [&str; 3] = ["manual", "check", "command"];

/// Limits of steps, unless the scenario sets others.
pub mod defaults {
    use firedrill_wire::Span;

    /// Time in which a person takes a step.
    pub const MANUAL: Span = Span::secs(600);
    /// Time in which a program ends.
    pub const PROGRAM: Span = Span::secs(60);
}

/// A step between attacks.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name; unique in the scenario.
    pub name: Spot<String>,
    /// For a step by hand: what a person does. The run waits until somebody says that it is done (`firedrill step`, or the run's page).
    #[serde(default)]
    pub manual: Option<Spot<String>>,
    /// For a step by hand: what a person does to put it back. The run asks for it at its end, also if it is stopped.
    #[serde(default)]
    pub undo: Option<Spot<String>>,
    /// For a check: the program that the coordinator runs, and its arguments. It is good if the program ends with exit code 0.
    #[serde(default)]
    pub check: Option<Spot<Vec<String>>>,
    /// For a preparation: the program that the coordinator runs, and its arguments. It is done if the program ends with exit code 0.
    #[serde(default)]
    pub command: Option<Spot<Vec<String>>>,
    /// For a step: the maximum time that it takes; by default 10m for a person and 1m for a program.
    #[serde(default)]
    pub timeout: Option<Spot<Span>>,
    /// For a step: the next move if it fails, or if nobody knows whether it is done.
    #[serde(default)]
    #[schemars(extend("default" = Then::Stop))]
    pub on_failure: Option<Then>,
    /// The index of the attack before which it is done, in the scenario's list of attacks.
    #[serde(skip)]
    pub before: usize,
}

impl Step {
    /// Returns what is done, and its usual time limit; `None` if the file does not say exactly one thing.
    #[must_use]
    pub fn does(&self) -> Option<(Does, Span)> {
        let argv = |argv: &Spot<Vec<String>>| argv.value.clone();
        match (&self.manual, &self.check, &self.command) {
            (Some(text), None, None) => {
                let undo = self.undo.as_ref().map(|undo| joined(undo));
                Some((Does::Manual { text: joined(text), undo }, defaults::MANUAL))
            }
            (None, Some(check), None) => Some((Does::Check { argv: argv(check) }, defaults::PROGRAM)),
            (None, None, Some(command)) => Some((Does::Command { argv: argv(command) }, defaults::PROGRAM)),
            _ => None,
        }
    }
}
