//! The JSON Schema of scenario files (draft 2020-12), for editors; generated from the types that files are decoded
//! with.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::ScenarioFile;

/// Top-level keys whose values are never a parameter.
const FIXED: [&str; 3] = ["schema", "include", "params"];

/// The version of JSON Schema that schemars generates.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Returns the schema of a scenario file.
#[must_use]
pub fn schema() -> Value {
    let mut schema = titled::<ScenarioFile>("Firedrill scenario");
    let Some(root) = schema.as_object_mut() else { return schema };
    if let Some(properties) = root.get_mut("properties").and_then(Value::as_object_mut) {
        let open = properties.iter_mut().filter(|(key, _)| !FIXED.contains(&key.as_str()));
        open.for_each(|(_, value)| or_parameter(value));
    }
    if let Some(definitions) = root.get_mut("$defs").and_then(Value::as_object_mut) {
        definitions.iter_mut().filter(|(name, _)| *name != "Param").for_each(|(_, value)| below(value));
        definitions.insert(
            "ParamRef".to_owned(),
            json!({
                "description": "The value of a parameter from [params].",
                "type": "object",
                "properties": { "param": { "type": "string", "description": "The parameter's name." } },
                "required": ["param"],
                "additionalProperties": false,
            }),
        );
    }
    schema
}

/// Lets `{ param = "x" }` replace any value: the schema of each value accepts both.
fn or_parameter(value: &mut Value) {
    below(value);
    // The description stays outside, where editors look for it.
    let mut outside = Map::new();
    if let Some(object) = value.as_object_mut() {
        outside.extend(["description", "default"].into_iter().filter_map(|key| object.remove_entry(key)));
    }
    let own = std::mem::take(value);
    outside.insert("anyOf".to_owned(), json!([own, { "$ref": "#/$defs/ParamRef" }]));
    *value = Value::Object(outside);
}

/// Lets a parameter replace any value inside a schema, but not the value of the schema itself.
fn below(value: &mut Value) {
    let Some(object) = value.as_object_mut() else { return };
    for (key, inner) in object.iter_mut() {
        match (key.as_str(), inner) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(or_parameter),
            ("items" | "additionalProperties", inner @ Value::Object(_)) => or_parameter(inner),
            ("anyOf" | "oneOf" | "allOf", Value::Array(variants)) => variants.iter_mut().for_each(below),
            _ => {}
        }
    }
}

/// Returns the schema of a type (draft 2020-12) with this title, in place of the type's name.
#[must_use]
pub fn titled<T: JsonSchema>(title: &str) -> Value {
    let mut schema = schemars::schema_for!(T).to_value();
    if let Some(object) = schema.as_object_mut() {
        let rest = std::mem::take(object);
        object.extend([("$schema".to_owned(), json!(DRAFT)), ("title".to_owned(), json!(title))]);
        object.extend(rest.into_iter().filter(|(key, _)| key != "$schema" && key != "title"));
    }
    schema
}
