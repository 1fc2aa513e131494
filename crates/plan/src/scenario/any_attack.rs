//! The schema of `[[attack]]`, whose entries are attacks and steps.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde_json::Value;

use super::{attack::Attack, step::Step};

/// An entry of the list of attacks, for the schema: a table with the keys of attacks and of steps.
#[derive(Debug)]
pub struct AnyAttack;

impl JsonSchema for AnyAttack {
    fn schema_name() -> Cow<'static, str> {
        "Attack".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut all = Attack::json_schema(generator);
        let step = Step::json_schema(generator);
        let keys = step.get("properties").and_then(Value::as_object);
        if let Some(own) = all.get_mut("properties").and_then(Value::as_object_mut) {
            for (key, value) in keys.into_iter().flatten() {
                own.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        all.insert("required".to_owned(), serde_json::json!(["name"]));
        all.insert(
            "description".to_owned(),
            "One attack of a drill: baseline, fault, recovery, settle. `[attack_defaults]` may set another default for the keys that it \
             has. An entry with `manual`, `check` or `command` is no attack, but a step between attacks: it has a `name`, one of these three \
             keys, `timeout` and `on_failure`, and by hand also `undo`."
                .into(),
        );
        all
    }
}
