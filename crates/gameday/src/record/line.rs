//! The lines of a record: the events of a slot. Reads and writes no file.

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
        /// The sources that could not be asked for alerts, each with the reason. A person started the slot although it was unknown whether an
        /// incident was running.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unasked: Vec<String>,
        /// The draw of its attacks, if they were drawn.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drawn: Option<Draw>,
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
        /// The exit code of `firedrill run` for this scenario.
        exit: u8,
        /// The reason why there was no run, if there was none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// The slot has ended.
    Ended {
        /// The exit code of the whole slot.
        exit: u8,
        /// The reason why the remaining scenarios were not run; `None` if all were run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// The slot was not held.
    NotHeld {
        /// The reason.
        why: String,
        /// The kind of the reason. Records of earlier versions do not have it.
        #[serde(default)]
        reason: Reason,
        /// The alerts that fired, if they are the reason.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        firing: Vec<Firing>,
    },
    /// Nobody started it at its time.
    Missed {
        /// The reason.
        why: String,
    },
}

/// The draw of a drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    /// The seed, by which the draw can be repeated.
    pub seed: u64,
    /// Number of attacks that could be drawn.
    pub of: usize,
    /// The names of the attacks that were drawn.
    pub attacks: Vec<String>,
}

/// The kind of a reason for which a slot was not held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The day is closed (`not_on`).
    Closed,
    /// A person skipped it.
    Skipped,
    /// Not enough people have agreed.
    NoGo,
    /// A scenario has not held in the environment that `requires` names.
    Promotion,
    /// The budget of drills is used up (`at_most`).
    Budget,
    /// Another run uses the same hosts.
    Busy,
    /// An alert of an incident fires.
    Incident,
    /// A source could not be asked for the alert of an incident.
    Unasked,
    /// Another reason.
    #[default]
    #[serde(other)]
    Other,
}

impl Reason {
    /// Returns its word in records and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Skipped => "skipped",
            Self::NoGo => "no-go",
            Self::Promotion => "promotion",
            Self::Budget => "budget",
            Self::Busy => "busy",
            Self::Incident => "incident",
            Self::Unasked => "unasked",
            Self::Other => "other",
        }
    }
}

/// An alert that fired when a slot was to start.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Firing {
    /// The name of the source.
    pub source: String,
    /// The alert with its labels, as the source has it.
    pub alert: String,
    /// The time since which it fires, RFC 3339 UTC, if the source says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The reason why the source notifies nobody of it, if the source says so: a silence, or another alert that inhibits it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hushed: Option<String>,
}

impl Firing {
    /// Returns the alert for people, such as `CheckoutDown {severity="page"} since 2026-12-04T12:40:00Z, silenced (silence 1) (source am)`.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { source, alert, since, hushed } = self;
        let since = since.as_ref().map_or_else(
            || ", the source does not say since when".to_owned(),
            |since| format!(" since {since}"),
        );
        let hushed = hushed.as_ref().map_or_else(String::new, |hushed| format!(", {hushed}"));
        format!("{alert}{since}{hushed} (source {source})")
    }
}

impl Event {
    /// Returns the event of a slot that is not held, without alerts.
    #[must_use]
    pub const fn not_held(reason: Reason, why: String) -> Self {
        Self::NotHeld { why, reason, firing: Vec::new() }
    }

    /// Returns the event of a slot that a person skips. The reason may be empty.
    #[must_use]
    pub fn skipped(by: &str, why: &str) -> Self {
        let why = clean(&joined(why.trim()), TEXT_MOST).into_owned();
        let why = if why.is_empty() { format!("skipped by {by}") } else { format!("skipped by {by}: {why}") };
        Self::not_held(Reason::Skipped, why)
    }
}
