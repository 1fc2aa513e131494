//! `[objectives.X]`: goals for probes.

use std::borrow::Cow;

use firedrill_wire::{Share, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use super::metric::MetricObjective;
use crate::diagnostic::Spot;
use crate::plan::model::{GOOD_AT, Goal, Phase};

/// The phases in which an objective is judged, unless it says otherwise.
pub(super) const JUDGED: [Phase; 2] = [Phase::Fault, Phase::Recovery];

/// An objective for a probe. Exactly one goal is needed: `good`; `quantile` with `below`; `mitigate_within`;
/// `recover_within`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// The probe that measures it, by name.
    pub probe: Spot<String>,
    /// Minimum share of good requests.
    #[serde(default)]
    pub good: Option<Spot<Share>>,
    /// Together with `below`: this quantile of the latency of all requests is at most that time. A bad request counts as
    /// infinitely slow.
    #[serde(default)]
    #[schemars(range(min = 0.01, max = 0.9999))]
    pub quantile: Option<Spot<f64>>,
    /// Together with `quantile`: the time.
    #[serde(default)]
    pub below: Option<Spot<Span>>,
    /// Maximum time from the fault's start until the share of good requests is back at `good_at`, while the fault
    /// holds. No outage may last longer.
    #[serde(default)]
    pub mitigate_within: Option<Spot<Span>>,
    /// Maximum time from the heal until the share of good requests is back at `good_at`. No outage after the heal may
    /// last longer.
    #[serde(default)]
    pub recover_within: Option<Spot<Span>>,
    /// For `mitigate_within` and `recover_within`: the system is good again from this share of good requests on.
    #[serde(default)]
    #[schemars(extend("default" = GOOD_AT))]
    pub good_at: Option<Spot<Share>>,
    /// The phases in which it is judged. Without meaning for `mitigate_within` and `recover_within`.
    #[serde(default)]
    #[schemars(extend("default" = JUDGED))]
    pub during: Option<Spot<Vec<Phase>>>,
}

impl Objective {
    /// Returns the goal; `None` unless exactly one goal is given completely.
    #[must_use]
    pub fn goal(&self) -> Option<Goal> {
        let latency = match (&self.quantile, &self.below) {
            (Some(quantile), Some(below)) => {
                Some(Goal::Latency { quantile: quantile.value, below: below.value })
            }
            (None, None) => None,
            _ => return None,
        };
        let mut goals = [
            self.good.as_ref().map(|good| Goal::Good(good.value)),
            latency,
            self.mitigate_within.as_ref().map(|within| Goal::MitigateWithin(within.value)),
            self.recover_within.as_ref().map(|within| Goal::RecoverWithin(within.value)),
        ]
        .into_iter()
        .flatten();
        let goal = goals.next()?;
        goals.next().is_none().then_some(goal)
    }

    /// Returns the share of good requests from which the system counts as good again.
    #[must_use]
    pub fn good_at(&self) -> Share {
        self.good_at.as_ref().map_or(GOOD_AT, |share| share.value)
    }

    /// Returns the phases in which it is judged.
    #[must_use]
    pub fn during(&self) -> Vec<Phase> {
        match (&self.during, self.goal()) {
            (_, Some(Goal::MitigateWithin(_))) => vec![Phase::Fault],
            (_, Some(Goal::RecoverWithin(_))) => vec![Phase::Recovery],
            (Some(during), _) => during.value.clone(),
            (None, _) => JUDGED.to_vec(),
        }
    }
}

/// An objective of any form, for the schema: a table with the keys of all forms.
#[derive(Debug)]
pub struct Any;

impl JsonSchema for Any {
    fn schema_name() -> Cow<'static, str> {
        "Objective".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut all = Objective::json_schema(generator);
        for other in [MetricObjective::json_schema(generator)] {
            add(&mut all, &other);
        }
        all.remove("required");
        all.insert(
            "description".to_owned(),
            "An objective. It has either `probe` or `metric`. An objective for a probe has exactly one goal: `good`; `quantile` with \
             `below`; `mitigate_within`; `recover_within`. An objective for a metric has exactly one goal: `below` or `above`; `good`, with \
             a metric of `good` and `total`; `increase_below`."
                .into(),
        );
        all
    }
}

/// Adds the keys of another form. A key of both forms has the values of both.
fn add(all: &mut schemars::Schema, other: &schemars::Schema) {
    let Some(new) = other.get("properties").and_then(serde_json::Value::as_object) else { return };
    let Some(keys) = all.get_mut("properties").and_then(serde_json::Value::as_object_mut) else { return };
    for (key, value) in new {
        let Some(known) = keys.get_mut(key) else {
            keys.insert(key.clone(), value.clone());
            continue;
        };
        let description =
            |value: &serde_json::Value| value["description"].as_str().unwrap_or_default().to_owned();
        let (one, two) = (description(known), description(value));
        let form = |value: &serde_json::Value| {
            let mut value = value.clone();
            if let Some(table) = value.as_object_mut() {
                table.retain(|key, _| !["description", "default"].contains(&key.as_str()));
            }
            value
        };
        if form(known) != form(value) {
            *known = serde_json::json!({ "anyOf": [form(known), form(value)] });
        }
        if one != two {
            known["description"] = format!("For a probe: {one} For a metric: {two}").into();
        }
    }
}
