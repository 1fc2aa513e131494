//! Logs that agents read, and the objectives that they decide.

use firedrill_wire::{EventRate, logs::LogSpec};
use serde::{Deserialize, Serialize};

use super::Phase;

/// A log that agents read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The log, and the lines that each agent counts in it.
    #[serde(flatten)]
    pub spec: LogSpec,
    /// The hosts.
    pub on: Vec<String>,
}

/// An objective for the lines of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogObjective {
    /// Its name; no other objective has it.
    pub name: String,
    /// Its log.
    pub log: String,
    /// Its goal.
    pub goal: LogGoal,
    /// The phases in which it is judged.
    pub during: Vec<Phase>,
}

/// The goal of an objective for a log. The worst host decides.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogGoal {
    /// Fewer matching lines in a given time, on average.
    RateBelow(EventRate),
    /// Fewer matching lines.
    CountBelow(u64),
}

impl LogGoal {
    /// Describes the goal.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::RateBelow(rate) => format!("fewer than {rate} matching lines on each host"),
            Self::CountBelow(1) => "no matching line on any host".to_owned(),
            Self::CountBelow(count) => format!("fewer than {count} matching lines on each host"),
        }
    }
}
