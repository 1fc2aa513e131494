//! The structure of a scenario file, from which its JSON Schema is generated.
//!
//! `read` reads a file table by table with the types of this structure, so that an error in one table does not hide
//! errors in the next.

use std::collections::BTreeMap;

use firedrill_wire::Span;
use schemars::JsonSchema;

use super::{
    any_attack::AnyAttack, any_objective::Any, attack::AttackDefaults, guard::Guard, log::Evidence,
    param::Param, probe::Probe, source::Source, target::Target,
};
use crate::diagnostic::Values;
use crate::plan::model::Ci;

/// A drill: its hypothesis, targets, probes, objectives, and its attacks one after another.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used; files are read table by table")]
pub struct ScenarioFile {
    /// The version of the language: 1.
    #[schemars(range(min = 1, max = 1))]
    schema: u32,
    /// The drill's name: lower-case letters, digits and `-`. Required, except in files that are only included.
    #[schemars(default, regex(pattern = r"^[a-z0-9][a-z0-9-]*$"))]
    name: Option<String>,
    /// The hypothesis: the expected behaviour of the system, in a sentence. Required if there are attacks.
    #[schemars(default)]
    hypothesis: Option<String>,
    /// Files whose tables are included, relative to this one; below the folder of the main file, or below the one in
    /// `FIREDRILL_ROOT`. They have no `name`, `attack` or `ci`.
    #[schemars(default)]
    include: Values,
    /// The environment that the drill is for. A host whose `agent.toml` says another one refuses it.
    #[schemars(default)]
    environment: Option<String>,
    /// Time without a renewal by the coordinator after which agents put everything back.
    #[schemars(default, extend("default" = super::LEASE))]
    lease: Option<Span>,
    /// Free text about the drill: owner, ticket, …
    #[schemars(default)]
    meta: BTreeMap<String, String>,
    /// Typed values that are given with `--param`, by name; `{ param = "x" }` stands for them anywhere below.
    #[schemars(default)]
    params: BTreeMap<String, Param>,
    /// Selectors of hosts, by name.
    #[schemars(default)]
    targets: BTreeMap<String, Target>,
    /// Measurements, by name.
    #[schemars(default)]
    probes: BTreeMap<String, Probe>,
    /// Objectives, by name.
    #[schemars(default)]
    objectives: BTreeMap<String, Any>,
    /// Systems that are asked for metrics, by name.
    #[schemars(default)]
    sources: BTreeMap<String, Source>,
    /// Evidence that is collected besides measurements.
    #[schemars(default)]
    evidence: Option<Evidence>,
    /// Limits of the blast radius, and abort conditions.
    #[schemars(default)]
    guard: Option<Guard>,
    /// Settings for CI.
    #[schemars(default)]
    ci: Option<Ci>,
    /// Defaults of attacks.
    #[schemars(default)]
    attack_defaults: Option<AttackDefaults>,
    /// The attacks, and the steps between them, in order.
    #[schemars(default)]
    attack: Vec<AnyAttack>,
}

/// The keys at the top of a file.
pub const KEYS: [&str; 17] = [
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
    "sources",
    "evidence",
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
