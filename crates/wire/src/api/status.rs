//! The state of a host: now, at the end of a run, and as `doctor` sees it.

use serde::{Deserialize, Serialize};

use super::{Clock, OpenOne};

/// The state of a host now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// The host's name, from its certificate.
    pub host: String,
    /// The agent's version.
    pub version: String,
    /// Its clocks.
    pub clock: Clock,
    /// The name of whoever halted it, if it is halted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted_by: Option<String>,
    /// The open injections.
    pub open: Vec<OpenOne>,
    /// The newest event in the journal.
    pub last_seq: u64,
    /// Warnings from the agent's start, such as damage in its journal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The capabilities of a host, and findings that people should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doctor {
    /// The host's name.
    pub host: String,
    /// The agent's version.
    pub version: String,
    /// The kernel's release.
    pub kernel: String,
    /// One line for each thing that was looked at.
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The object: `nftables owner tables`, `foreign qdisc on eth0`, `runit`, …
    pub what: String,
    /// Its grade.
    pub grade: Grade,
    /// The observation.
    pub detail: String,
    /// The remedy, where there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// The grade of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// As wanted.
    Good,
    /// Good to know.
    Note,
    /// Some kinds will be refused.
    Missing,
    /// Something is wrong.
    Bad,
}

impl Grade {
    /// A sign for people.
    #[must_use]
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Note => "·",
            Self::Missing => "–",
            Self::Bad => "✗",
        }
    }
}

/// The state of a host at the end of a run, as far as the agent can tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndState {
    /// Clean, dirty, stuck or unproven.
    pub state: HostState,
    /// Remains of this run, and differences in what it claimed; if unproven, the reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ours: Vec<String>,
    /// Changes that others made meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<String>,
    /// Number of objects that were compared.
    pub compared: u64,
}

/// The state of a host at the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostState {
    /// Nothing of ours remains, and each claimed resource has the value it had before.
    Clean,
    /// Something of ours remains, or a claimed resource has another value.
    Dirty,
    /// An undo failed after its retries.
    Stuck,
    /// Replaced, or never came back.
    Gone,
    /// Could not be asked, or nobody can tell whose doing it is that something differs.
    Unproven,
}
