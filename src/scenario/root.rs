//! The whole of a scenario file, as its JSON Schema is made from it.
//!
//! `read` goes through a file table by table with the types that stand here, so that one wrong table does not hide
//! what is wrong in the next.

use std::collections::BTreeMap;

use firedrill_wire::Span;
use schemars::JsonSchema;

use super::{
    attack::{Attack, AttackDefaults},
    guard::Guard,
    objective::Objective,
    param::Param,
    probe::Probe,
    spot::Values,
    target::Target,
};
use crate::plan::model::Ci;

/// A drill: what it is to show, on whom, what is measured, what must hold, and its attacks one after another.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used; files are read table by table")]
pub struct ScenarioFile {
    /// The version of the language: 1.
    #[schemars(range(min = 1, max = 1))]
    schema: u32,
    /// The drill's name: lower-case letters, digits and `-`. Needed, except in files that are only included.
    #[schemars(default, regex(pattern = r"^[a-z0-9][a-z0-9-]*$"))]
    name: Option<String>,
    /// What the drill is to show, in a sentence. Needed where there are attacks.
    #[schemars(default)]
    hypothesis: Option<String>,
    /// Other files whose tables are taken in, relative to this one; below the folder of the file that is run, or below the
    /// one that `FIREDRILL_ROOT` names. They have no `name`, `attack` or `ci`.
    #[schemars(default)]
    include: Values,
    /// The environment, for the hosts' policies.
    #[schemars(default)]
    environment: Option<String>,
    /// Silence of the coordinator for so long heals everything; 10s unless given.
    #[schemars(default)]
    lease: Option<Span>,
    /// Free text about the drill: owner, ticket, …
    #[schemars(default)]
    meta: BTreeMap<String, String>,
    /// Typed values that are given with `--param`; `{ param = "x" }` stands for them anywhere below.
    #[schemars(default)]
    params: BTreeMap<String, Param>,
    /// Which hosts, by name.
    #[schemars(default)]
    targets: BTreeMap<String, Target>,
    /// What is measured, by name.
    #[schemars(default)]
    probes: BTreeMap<String, Probe>,
    /// What must hold, by name.
    #[schemars(default)]
    objectives: BTreeMap<String, Objective>,
    /// How much may be harmed at any instant, and what aborts the run.
    #[schemars(default)]
    guard: Option<Guard>,
    /// Settings for CI.
    #[schemars(default)]
    ci: Option<Ci>,
    /// What attacks have unless they say otherwise.
    #[schemars(default)]
    attack_defaults: Option<AttackDefaults>,
    /// The attacks, in order.
    #[schemars(default)]
    attack: Vec<Attack>,
}

/// The keys at the top of a file.
pub(crate) const KEYS: [&str; 15] = [
    "schema",
    "name",
    "hypothesis",
    "include",
    "environment",
    "lease",
    "meta",
    "params",
    "targets",
    "probes",
    "objectives",
    "guard",
    "ci",
    "attack_defaults",
    "attack",
];

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_knows_the_same_keys() {
        let schema = schemars::schema_for!(super::ScenarioFile);
        let properties = schema.get("properties").and_then(|value| value.as_object()).expect("an object");
        let keys: Vec<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(keys, super::KEYS);
    }
}
