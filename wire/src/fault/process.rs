//! Faults on processes, which are always named by what they are, never by a bare pid.

use serde::{Deserialize, Serialize};

use super::Signal;

/// Which processes; every clause that is given must hold. At least one of `name`, `command` and `service` is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessMatch {
    /// The exact name of the program (`/proc/PID/comm`, or the last part of the executable's path).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A text that the command line contains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The user that the process runs as, by name or number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The service whose processes they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// At most so many processes may match; more is a refusal. Protects against a pattern that is too wide.
    #[serde(default = "ProcessMatch::default_at_most")]
    pub at_most: u32,
}

impl ProcessMatch {
    const fn default_at_most() -> u32 {
        32
    }
}

/// `process-kill`: signal the processes that match, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessKill {
    /// Which processes.
    #[serde(rename = "match")]
    pub which: ProcessMatch,
    /// The signal.
    #[serde(default)]
    pub signal: Signal,
}

/// `process-pause`: SIGSTOP to the processes that match; SIGCONT afterwards to those that we stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessPause {
    /// Which processes.
    #[serde(rename = "match")]
    pub which: ProcessMatch,
}
