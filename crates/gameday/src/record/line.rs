//! The lines of a record.

use firedrill_wire::text::{TEXT_MOST, clean, joined};
use serde::{Deserialize, Serialize};

/// The version of the lines.
pub(super) const VERSION: u32 = 1;

/// A line: an event, and its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The version of the format: 1.
    pub v: u32,
    /// The time, RFC 3339 UTC, by the writer's clock.
    pub at: String,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

/// An event of a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A program has begun to hold it.
    Begun {
        /// The person whose certificate is used.
        by: String,
        /// The game day's file.
        file: String,
        /// The people who agreed to the start.
        agreed: Vec<String>,
    },
    /// A run of one of its scenarios has begun. A scenario that is tried again has several.
    RunBegun {
        /// The number of the scenario, from 1.
        scenario: usize,
        /// The name of the scenario.
        name: String,
        /// The folder of the run in the directory of runs.
        run: String,
    },
    /// A scenario has ended, after all its tries.
    ScenarioEnded {
        /// The number of the scenario, from 1.
        scenario: usize,
        /// The exit code that `firedrill run` has for it.
        exit: u8,
        /// The reason why there was no run, if there was none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// All is over.
    Ended {
        /// The exit code of the whole.
        exit: u8,
        /// The reason why the rest of the scenarios was not run, if there is a rest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// The slot was not held.
    NotHeld {
        /// The reason.
        why: String,
    },
    /// Nobody started it at its time.
    Missed {
        /// The reason.
        why: String,
    },
}

impl Event {
    /// A slot that a person skips; the reason may be empty.
    #[must_use]
    pub fn skipped(by: &str, why: &str) -> Self {
        let why = clean(&joined(why.trim()), TEXT_MOST).into_owned();
        let why = if why.is_empty() { format!("skipped by {by}") } else { format!("skipped by {by}: {why}") };
        Self::NotHeld { why }
    }
}
