//! `[guard]`: limits of the blast radius, and abort conditions.

use std::collections::BTreeMap;

use firedrill_wire::{Share, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::diagnostic::Spot;

/// Default time for which a condition may stay without evaluation.
pub const BLIND_FOR: Span = Span::secs(10);

/// Limits of the blast radius, and conditions that abort the run and heal everything.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// Maximum share of each group of hosts that may be under a fault at any instant.
    #[serde(default)]
    pub max_share: Option<Spot<MaxShare>>,
    /// Minimum number of hosts of each role that stay without a fault at any instant. Faults of other runs count too.
    #[serde(default)]
    pub keep: BTreeMap<String, Spot<u32>>,
    /// Conditions, each of which aborts the run.
    #[serde(default)]
    pub abort: Vec<Spot<Abort>>,
    /// A condition that cannot be evaluated for this long aborts too.
    #[serde(default)]
    #[schemars(extend("default" = BLIND_FOR))]
    pub blind_for: Option<Spot<Span>>,
}

/// Maximum share of each group of hosts that may be under a fault at any instant.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxShare {
    /// The label that makes the groups: `role`, `provider`, `region`, `zone` or any other; `fleet` is one group of
    /// all hosts.
    pub of: Spot<String>,
    /// Maximum share of a group that may be under a fault.
    pub share: Spot<Share>,
}

/// An abort condition: a probe with `good_below`, or an objective.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Abort {
    /// The probe, by name.
    #[serde(default)]
    pub probe: Option<Spot<String>>,
    /// With `probe`: the run is aborted when less than this share of requests is good, over the time `over`.
    #[serde(default)]
    pub good_below: Option<Spot<Share>>,
    /// The objective, by name: the run is aborted when the newest samples, over the time `over`, violate it by themselves.
    #[serde(default)]
    pub objective: Option<Spot<String>>,
    /// The length of the moving window.
    pub over: Spot<Span>,
}
