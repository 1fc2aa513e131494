//! `[guard]`: how much may be harmed at any instant, and what aborts a run.

use std::collections::BTreeMap;

use firedrill_wire::{Share, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use super::spot::Spot;

/// How much may be harmed at any instant, and what aborts the run and heals everything.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// At most this share of each group of hosts may be under a fault at any instant.
    #[serde(default)]
    pub max_share: Option<Spot<MaxShare>>,
    /// So many hosts of a role stay without a fault at any instant.
    #[serde(default)]
    pub keep: BTreeMap<String, Spot<u32>>,
    /// Conditions, any of which aborts the run.
    #[serde(default)]
    pub abort: Vec<Spot<Abort>>,
    /// A condition that could not be evaluated for so long aborts too.
    #[serde(default)]
    pub blind_for: Option<Spot<Span>>,
}

/// At most this share of each group of hosts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxShare {
    /// What makes the groups: `role`, `provider`, `region`, `zone` or any other label; `fleet` is one group of all hosts.
    pub of: Spot<String>,
    /// The share.
    pub share: Spot<Share>,
}

/// A condition that aborts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Abort {
    /// Over which probe.
    pub probe: Spot<String>,
    /// Abort when less than this share is good …
    pub good_below: Spot<Share>,
    /// … over this time.
    pub over: Spot<Span>,
}
