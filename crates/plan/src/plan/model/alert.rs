//! Objectives of alerts.

use firedrill_sources::AlertQuery;
use firedrill_wire::Span;
use serde::{Deserialize, Serialize};

/// An objective of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Its name; no other objective has it.
    pub name: String,
    /// Its source.
    pub source: String,
    /// The alert.
    pub query: AlertQuery,
    /// Its goal.
    pub goal: AlertGoal,
    /// The interval at which the source is asked.
    pub every: Span,
}

/// The goal of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertGoal {
    /// It fires within this time from the fault's start.
    DetectWithin(Span),
    /// It is over within this time from the heal.
    ResolveWithin(Span),
}

impl AlertGoal {
    /// Describes the goal.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::DetectWithin(within) => format!("fires within {within} from the fault's start"),
            Self::ResolveWithin(within) => format!("over within {within} from the heal"),
        }
    }
}

impl Alert {
    /// Whether two objectives are about the same alert, so that one row of polls serves both.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        (&self.source, &self.query) == (&other.source, &other.query)
    }
}
