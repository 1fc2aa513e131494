//! `[objectives.X]` with `alert`: goals for the time until an alert fires, and until it is over.

use std::collections::BTreeMap;

use firedrill_wire::Span;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{diagnostic::Spot, plan::model::AlertGoal};

/// The interval at which a source is asked, unless the objective sets another.
const EVERY: Span = Span::secs(5);

/// An objective for an alert. Exactly one goal is needed: `detect_within`; `resolve_within`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertObjective {
    /// The alert that a source is asked for.
    pub alert: Spot<Alert>,
    /// Maximum time from the fault's start until the alert fires.
    #[serde(default)]
    pub detect_within: Option<Spot<Span>>,
    /// Maximum time from the heal until the alert is over.
    #[serde(default)]
    pub resolve_within: Option<Spot<Span>>,
}

/// An alert, and how a source is asked for it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// The source, by name.
    pub source: Spot<String>,
    /// The alert's name: the label `alertname`; a part of the title of an incident of PagerDuty, or of the message of an alert of
    /// Opsgenie; the name of a monitor of Datadog.
    pub name: Spot<String>,
    /// Labels that it must have, each with exactly that value.
    #[serde(default)]
    pub labels: BTreeMap<String, Spot<String>>,
    /// The interval at which the source is asked. Times are known as exactly as that.
    #[serde(default = "Alert::every")]
    #[schemars(extend("default" = EVERY))]
    pub every: Spot<Span>,
}

impl Alert {
    fn every() -> Spot<Span> {
        Spot { value: EVERY, at: 0..0 }
    }
}

impl AlertObjective {
    /// Returns the goal; `None` unless exactly one goal is given.
    #[must_use]
    pub fn goal(&self) -> Option<AlertGoal> {
        match (&self.detect_within, &self.resolve_within) {
            (Some(within), None) => Some(AlertGoal::DetectWithin(within.value)),
            (None, Some(within)) => Some(AlertGoal::ResolveWithin(within.value)),
            _ => None,
        }
    }
}
