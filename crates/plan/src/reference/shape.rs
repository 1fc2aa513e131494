//! Finds the form of a value in a schema. A page distinguishes only a few forms.

use serde_json::{Map, Value};

/// The form of a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape<'s> {
    /// A table with given keys.
    Table(&'s Value),
    /// A table whose keys are names, with the form of its values.
    Named(&'s Value),
    /// A list.
    List(&'s Value),
    /// One value, or a list of them.
    OneOrMany(&'s Value),
    /// One of some words, each with its description.
    Words(&'s [Value]),
    /// A table in which one key names the kind: its schema and the variants.
    Kinds(&'s Value, &'s [Value]),
    /// A value with a notation of its own: the name of its type and its schema.
    Own(&'s str, &'s Value),
    /// One of several forms.
    Either(&'s [Value]),
    /// A text, a number and so on.
    Plain(&'s Value),
}

/// A schema, with its definitions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schema<'s>(pub(super) &'s Value);

impl<'s> Schema<'s> {
    /// Returns the form of a value; `null` and parameters, which may replace any value, are left out.
    pub(super) fn shape(self, schema: &'s Value) -> Shape<'s> {
        let (schema, name) = self.resolve(schema, None);
        if let Some(all) = alternatives(schema, "oneOf") {
            if all.iter().all(|one| one.get("const").is_some()) {
                return Shape::Words(all);
            }
            if all.iter().all(|one| one.get("properties").is_some()) {
                return Shape::Kinds(schema, all);
            }
        }
        if let Some(all) = alternatives(schema, "anyOf") {
            let many = all.iter().find(|one| one["type"] == "array").map(|one| &one["items"]);
            if let (2, Some(items)) = (all.len(), many) {
                return Shape::OneOrMany(items);
            }
            // `resolve` has followed a single form, so these are several.
            if name.is_none() && all.len() > 1 {
                return Shape::Either(all);
            }
        }
        if schema.get("properties").is_some() || schema["additionalProperties"] == false {
            return Shape::Table(schema);
        }
        match (schema.get("additionalProperties"), schema.get("items"), name) {
            (Some(values), _, _) => Shape::Named(values),
            (_, Some(items), _) => Shape::List(items),
            (_, _, Some(name)) => Shape::Own(name, schema),
            _ => Shape::Plain(schema),
        }
    }

    /// Follows references, and an alternative that is the only one beside `null` and a parameter. Returns the schema, and the name of
    /// its type if it has one.
    fn resolve(self, schema: &'s Value, name: Option<&'s str>) -> (&'s Value, Option<&'s str>) {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
            return self.0["$defs"].get(name).map_or((schema, None), |found| self.resolve(found, Some(name)));
        }
        let is_form =
            |one: &&Value| one["type"] != "null" && one["$ref"].as_str() != Some("#/$defs/ParamRef");
        let mut forms = alternatives(schema, "anyOf").unwrap_or_default().iter().filter(is_form);
        match (forms.next(), forms.next()) {
            (Some(form), None) => self.resolve(form, name),
            _ => (schema, name),
        }
    }
}

/// Returns the keys of a table with their schemas.
pub(super) fn keys(table: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let all: Option<&Map<String, Value>> = table["properties"].as_object();
    all.into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

/// Whether a table must have a key.
pub(super) fn is_needed(table: &Value, key: &str) -> bool {
    table["required"].as_array().is_some_and(|all| all.iter().any(|one| one == key))
}

/// Returns the description of a schema, on one line.
pub(super) fn description(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}

/// Returns the key that names the kind of a variant, and the schema of its value.
pub(super) fn kind(variant: &Value) -> Option<(&str, &Value)> {
    keys(variant).find(|(key, _)| is_needed(variant, key))
}

/// Returns the alternatives in a schema under a keyword such as `oneOf`; `None` if it has none.
fn alternatives<'s>(schema: &'s Value, keyword: &str) -> Option<&'s [Value]> {
    schema[keyword].as_array().map(Vec::as_slice)
}
