//! Evidence that an agent has of its own fault: whether it was there, and whether any traffic or process met it.

use serde::{Deserialize, Serialize};

/// Three states, because "could not look" is neither yes nor no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// It was so.
    Yes,
    /// It was not so.
    No,
    /// It could not be told.
    Unknown,
}

/// One look at a fault in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The rule or state that the fault consists of is there.
    pub in_force: Seen,
    /// Something met it: a packet hit the rule, a service that was to be down was down.
    pub exercised: Seen,
    /// Number of times that something met it since the start, where that can be counted (packets).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The object that was observed and the observation, for people.
    pub detail: String,
}
