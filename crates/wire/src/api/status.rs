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
    /// The name of the person who halted it; `None` if it is not halted.
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
    /// The findings, one for each object that was examined.
    pub findings: Vec<Finding>,
}

/// The result for one object that was examined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The object: `nftables owner tables`, `foreign qdisc on eth0`, `runit`, …
    pub what: String,
    /// Its grade.
    pub grade: Grade,
    /// The observation.
    pub detail: String,
    /// The remedy; empty if there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// The grade of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// All is as it should be.
    Good,
    /// A remark.
    Note,
    /// A part is missing, so some kinds of faults will be refused.
    Missing,
    /// A fault of the host.
    Bad,
}

impl Grade {
    /// Returns a sign for people.
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
    /// Remains of this run, and differences in resources that it claimed; if unproven, the reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ours: Vec<String>,
    /// Changes by others in the meantime.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<String>,
    /// Number of objects that were compared.
    pub compared: u64,
}

/// The state of a host at the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostState {
    /// Nothing of the run remains, and each claimed resource has the value that it had before.
    Clean,
    /// Something of the run remains, or a claimed resource has another value.
    Dirty,
    /// An undo failed after its retries.
    Stuck,
    /// The host was replaced, or never came back.
    Gone,
    /// The host could not be asked, or it is not known who caused a difference.
    Unproven,
}
