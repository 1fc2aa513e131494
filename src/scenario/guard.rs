//! `[guard]`: limits of the blast radius, and abort conditions.

use std::collections::BTreeMap;

use firedrill_wire::{Share, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use super::spot::Spot;

/// Limits of the blast radius, and conditions that abort the run and heal everything.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// Maximum share of each group of hosts that may be under a fault at any instant.
    #[serde(default)]
    pub max_share: Option<Spot<MaxShare>>,
    /// Minimum number of hosts of a role that stay without a fault at any instant.
    #[serde(default)]
    pub keep: BTreeMap<String, Spot<u32>>,
    /// Conditions, each of which aborts the run.
    #[serde(default)]
    pub abort: Vec<Spot<Abort>>,
    /// A condition that could not be evaluated for this time aborts the run too.
    #[serde(default)]
    pub blind_for: Option<Spot<Span>>,
}

/// Maximum share of each group of hosts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxShare {
    /// The label that makes the groups: `role`, `provider`, `region`, `zone` or any other; `fleet` is one group of
    /// all hosts.
    pub of: Spot<String>,
    /// The share.
    pub share: Spot<Share>,
}

/// An abort condition.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Abort {
    /// Its probe.
    pub probe: Spot<String>,
    /// The run is aborted if the share of good requests is below this …
    pub good_below: Spot<Share>,
    /// … over this time.
    pub over: Spot<Span>,
}
