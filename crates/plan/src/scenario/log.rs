//! `[evidence.logs.X]`: logs of hosts that their agents read; `[objectives.X]` with `logs`: goals for how often a pattern
//! matches in them.

use std::collections::BTreeMap;

use firedrill_wire::{EventRate, logs::UNIT};
use schemars::JsonSchema;
use serde::Deserialize;

use super::objective::JUDGED;
use crate::{
    diagnostic::Spot,
    plan::model::{LogGoal, Phase},
};

/// Number of lines that are kept, unless the log sets another.
const LINES: u32 = 5;

/// Evidence that is collected besides measurements.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used; files are read table by table")]
pub struct Evidence {
    /// Logs of hosts, by name.
    #[schemars(default)]
    logs: BTreeMap<String, Log>,
}

/// A log of each host of a target: either `file` or `unit` is needed. The host's agent reads it where `[policy] logs` of the host's
/// `agent.toml` lists it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The whole path of the file on the host. It is read from its end at the start of the drill on, also after it was rotated.
    #[serde(default)]
    pub file: Option<Spot<String>>,
    /// The service of systemd on the host, such as `"nginx.service"`, whose messages are read from the journal. `[policy] logs` lists it as
    /// `"unit:nginx.service"`.
    #[serde(default)]
    pub unit: Option<Spot<String>>,
    /// The hosts: a target or a host, by name.
    pub on: Spot<String>,
    /// The lines that count: those in which this regular expression (of Rust's crate `regex`) is found.
    #[serde(rename = "match")]
    pub matches: Spot<String>,
    /// Number of lines of each phase and host that the report shows, the first that match; 50 at most. What looks like a secret is
    /// replaced by `***` on the host.
    #[serde(default = "Log::five")]
    #[schemars(extend("default" = LINES))]
    pub lines: Spot<u32>,
}

impl Log {
    fn five() -> Spot<u32> {
        Spot { value: LINES, at: 0..0 }
    }

    /// Returns what is read, as agents and policies name it; `None` unless it is exactly one log.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        match (&self.file, &self.unit) {
            (Some(file), None) => Some(file.value.clone()),
            (None, Some(unit)) => Some(format!("{UNIT}{}", unit.value)),
            _ => None,
        }
    }
}

/// An objective for a log. Exactly one goal is needed: `rate_below`; `count_below`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogObjective {
    /// The log whose matching lines are counted, by name.
    pub logs: Spot<String>,
    /// On each host there are fewer matching lines than this in a given time, such as `"5/s"`, on average over all judged phases
    /// together.
    #[serde(default)]
    pub rate_below: Option<Spot<EventRate>>,
    /// On each host there are fewer matching lines than this, in all judged phases together.
    #[serde(default)]
    pub count_below: Option<Spot<u64>>,
    /// The phases in which it is judged.
    #[serde(default)]
    #[schemars(extend("default" = JUDGED))]
    pub during: Option<Spot<Vec<Phase>>>,
}

impl LogObjective {
    /// Returns the goal; `None` unless exactly one goal is given.
    #[must_use]
    pub fn goal(&self) -> Option<LogGoal> {
        match (&self.rate_below, &self.count_below) {
            (Some(rate), None) => Some(LogGoal::RateBelow(rate.value)),
            (None, Some(count)) => Some(LogGoal::CountBelow(count.value)),
            _ => None,
        }
    }

    /// Returns the phases in which it is judged.
    #[must_use]
    pub fn during(&self) -> Vec<Phase> {
        self.during.as_ref().map_or_else(|| JUDGED.to_vec(), |during| during.value.clone())
    }
}
