//! The schema of `[objectives.X]`, whose forms are read one by one.

use std::borrow::Cow;

use schemars::JsonSchema;

use super::{alert::AlertObjective, log::LogObjective, metric::MetricObjective, objective::Objective};

/// An objective of any form, for the schema: a table with the keys of all forms.
#[derive(Debug)]
pub struct Any;

impl JsonSchema for Any {
    fn schema_name() -> Cow<'static, str> {
        "Objective".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut all = Objective::json_schema(generator);
        for (form, other) in [
            ("a metric", MetricObjective::json_schema(generator)),
            ("an alert", AlertObjective::json_schema(generator)),
            ("a log", LogObjective::json_schema(generator)),
        ] {
            add(&mut all, form, &other);
        }
        all.remove("required");
        all.insert(
            "description".to_owned(),
            "An objective. It has one of `probe`, `metric`, `alert` and `logs`. An objective for a probe has exactly one goal: `good`; `quantile` with \
             `below`; `mitigate_within`; `recover_within`; `lost_writes`. An objective for a metric has exactly one goal: `below` or `above`; `good`, with \
             a metric of `good` and `total`; `increase_below`. An objective for an alert has exactly one goal: `detect_within`; \
             `resolve_within`. An objective for a log has exactly one goal: `rate_below` or `count_below`."
                .into(),
        );
        all
    }
}

/// Begins the description of a key that several forms have. All such keys are keys of the first form.
const FIRST: &str = "For a probe:";

/// Adds the keys of another form. A key of both forms has the values of both.
fn add(all: &mut schemars::Schema, name: &str, other: &schemars::Schema) {
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
            let one = if one.starts_with(FIRST) { one } else { format!("{FIRST} {one}") };
            known["description"] = format!("{one} For {name}: {two}").into();
        }
    }
}
