//! The conditions that abort a run, and the number of hosts that may be under a fault at once.

use std::collections::BTreeMap;

use firedrill_wire::{Share, Span};
use serde::{Deserialize, Serialize};

/// The conditions that abort a run and heal everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    /// Conditions, each of which aborts the run.
    #[serde(default)]
    pub abort: Vec<AbortWhen>,
    /// Objectives that abort the run when they are violated by themselves in a moving window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub abort_on: Vec<AbortOn>,
    /// A condition that could not be evaluated for this time aborts the run too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blind_for: Option<Span>,
    /// Maximum share of each group of hosts that may be under a fault of any run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_share: Option<MaxShare>,
    /// Minimum number of hosts of a role that stay without a fault of any run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keep: BTreeMap<String, u32>,
}

/// Maximum share of each group of hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaxShare {
    /// The label that makes the groups; `fleet` is one group of all hosts.
    pub of: String,
    /// The share.
    pub share: Share,
}

/// An abort condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AbortWhen {
    /// Its probe.
    pub probe: String,
    /// The run is aborted if the share of good requests is below this …
    pub good_below: Share,
    /// … over this time.
    pub over: Span,
}

/// An objective that aborts the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AbortOn {
    /// The objective.
    pub objective: String,
    /// The length of the window.
    pub over: Span,
}
