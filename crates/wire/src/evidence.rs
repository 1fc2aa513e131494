//! An agent's observations of a fault that it injected: whether the fault is in force, and whether any traffic or process met it.

use serde::{Deserialize, Serialize};

/// The answer to a question about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// It was observed.
    Yes,
    /// It was looked for, and not observed.
    No,
    /// It could not be observed.
    Unknown,
}

/// One observation of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Whether the rule or state that the fault consists of exists.
    pub in_force: Seen,
    /// Whether traffic or a process met the fault: a packet matched the rule, or a service that the fault stops was down.
    pub exercised: Seen,
    /// Number of packets that met it since its start; `None` if they cannot be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The object that was observed and the observation, for people.
    pub detail: String,
}
