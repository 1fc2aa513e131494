//! An entry of `scenarios` in a game day: a path, or a table with parameters and a seed.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Unexpected, Visitor, value::MapAccessDeserializer},
};

/// An entry of `scenarios`. A path alone becomes a table without parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScenarioEntry(pub ScenarioTable);

/// A scenario with its parameters and its seed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioTable {
    /// The scenario's file.
    pub file: String,
    /// Values of its parameters: texts, numbers, `true` or `false`.
    #[serde(default)]
    pub params: BTreeMap<String, ParamValue>,
    /// The seed of random picks: `"fresh"` draws a new one for each run, a number picks the same hosts each time.
    #[serde(default)]
    #[schemars(extend("default" = "fresh"))]
    pub seed: Seed,
}

impl<'de> Deserialize<'de> for ScenarioEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PathOrTable;
        impl<'de> Visitor<'de> for PathOrTable {
            type Value = ScenarioEntry;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, or a table `{ file = \"…\", params = { … }, seed = … }`")
            }
            fn visit_str<E: Error>(self, file: &str) -> Result<ScenarioEntry, E> {
                Ok(ScenarioEntry(ScenarioTable { file: file.to_owned(), ..ScenarioTable::default() }))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ScenarioEntry, A::Error> {
                ScenarioTable::deserialize(MapAccessDeserializer::new(map)).map(ScenarioEntry)
            }
        }
        deserializer.deserialize_any(PathOrTable)
    }
}

impl JsonSchema for ScenarioEntry {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "ScenarioEntry".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let table = generator.subschema_for::<ScenarioTable>();
        schemars::json_schema!({ "anyOf": [{ "type": "string" }, table] })
    }
}

/// The seed of random picks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seed {
    /// A new one for each run.
    #[default]
    Fresh,
    /// Always the same.
    Fixed(u64),
}

impl<'de> Deserialize<'de> for Seed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FreshOrNumber;
        impl Visitor<'_> for FreshOrNumber {
            type Value = Seed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"fresh\" or a whole number that is not negative")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Seed, E> {
                match text {
                    "fresh" => Ok(Seed::Fresh),
                    other => Err(E::invalid_value(Unexpected::Str(other), &self)),
                }
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Seed, E> {
                u64::try_from(number)
                    .map(Seed::Fixed)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
            }
        }
        deserializer.deserialize_any(FreshOrNumber)
    }
}

impl JsonSchema for Seed {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Seed".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [{ "type": "string", "const": "fresh" }, { "type": "integer", "minimum": 0 }],
        })
    }
}

/// A parameter's value, as the text that `--param` would have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParamValue(pub String);

impl<'de> Deserialize<'de> for ParamValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = ParamValue;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number, `true` or `false`")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<ParamValue, E> {
                Ok(ParamValue(text.to_owned()))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<ParamValue, E> {
                Ok(ParamValue(number.to_string()))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<ParamValue, E> {
                Ok(ParamValue(number.to_string()))
            }
            fn visit_bool<E: Error>(self, yes: bool) -> Result<ParamValue, E> {
                Ok(ParamValue(yes.to_string()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl JsonSchema for ParamValue {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "ParamValue".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "number", "boolean"] })
    }
}
