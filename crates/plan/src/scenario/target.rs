//! `[targets.X]`: selectors of hosts.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use firedrill_wire::Share;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::pick_by::PickBy;
use crate::diagnostic::{Spot, Values};

/// A selector of hosts: those for which every clause of `where` holds, limited to the number in `pick`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Clauses, all of which must hold: `name`, `role`, `tag`, `provider`, `region`, `zone`, `env` or any other label,
    /// each with a value or a list of values of which one must match.
    #[serde(rename = "where")]
    pub clauses: BTreeMap<String, Spot<Values>>,
    /// Number of hosts. The run's seed decides which ones, so that a run can be repeated. With `group_by`, the number
    /// is per group.
    #[serde(default)]
    #[schemars(extend("default" = "all"))]
    pub pick: Option<Spot<Pick>>,
    /// A label; hosts with the same value form a group, for attacks with `for_each`.
    #[serde(default)]
    pub group_by: Option<Spot<String>>,
    /// For a target that moves, such as the leader of a cluster: the question that tells which of the hosts is meant. It is asked when an
    /// attack on the target begins. Such a target can only be the `on` of an attack.
    #[serde(default)]
    pub pick_by: Option<Spot<PickBy>>,
}

impl Target {
    /// Returns the number of hosts.
    #[must_use]
    pub fn pick(&self) -> Pick {
        self.pick.as_ref().map_or(Pick::All, |pick| pick.value)
    }
}

/// The number of selected hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Pick {
    /// A fixed number.
    Count(u32),
    /// A share of them, rounded up.
    Share(Share),
    /// All of them.
    #[default]
    All,
}

impl<'de> Deserialize<'de> for Pick {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl serde::de::Visitor<'_> for Any {
            type Value = Pick;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 1, a share such as \"50%\", or \"all\"")
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Pick, E> {
                match u32::try_from(number) {
                    Ok(count) if count > 0 => Ok(Pick::Count(count)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Signed(number), &self)),
                }
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Pick, E> {
                match (text, text.parse::<Share>()) {
                    ("all", _) => Ok(Pick::All),
                    (_, Ok(share)) if share.fraction() > 0.0 => Ok(Pick::Share(share)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl JsonSchema for Pick {
    fn schema_name() -> Cow<'static, str> {
        "Pick".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "How many: a number, a share (\"50%\", rounded up) or \"all\".",
            "anyOf": [
                { "type": "integer", "minimum": 1 },
                { "const": "all" },
                { "type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$" },
            ],
        })
    }
}
