//! The facts of a scenario that need no fleet, for people who read about it. Secrets are hidden.

use std::collections::BTreeMap;

use firedrill_wire::{hide, probe::ProbeKind};

use crate::{diagnostic::Sink, scenario::Scenario};

/// The facts of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Its name; empty if that cannot be read.
    pub name: String,
    /// Its hypothesis.
    pub hypothesis: String,
    /// Its parameters, in the order of their names.
    pub params: Vec<Parameter>,
    /// The names of its objectives.
    pub objectives: Vec<String>,
}

/// A parameter of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// The type of its values, in words.
    pub kind: &'static str,
    /// Its value unless another is given; `None` if it has to be given.
    pub default: Option<String>,
    /// Its purpose.
    pub about: String,
}

impl Outline {
    /// Returns the facts of a scenario. `probes` are those of its requests that are known.
    pub(super) fn of<'p>(
        scenario: &Scenario,
        probes: impl IntoIterator<Item = &'p ProbeKind>,
        sink: &Sink,
    ) -> Self {
        let default = |name: &String, text: &String| (name.clone(), sink.harmless(text));
        let defaults: BTreeMap<String, String> = scenario
            .declared
            .iter()
            .filter_map(|(name, declared)| Some(default(name, declared.default.as_ref()?)))
            .collect();
        let mut defaults = hide::params(&defaults, probes);
        let params = scenario.declared.iter().map(|(name, declared)| Parameter {
            name: name.clone(),
            kind: declared.kind.word(),
            default: defaults.remove(name),
            about: sink.harmless(declared.about.as_deref().unwrap_or_default()),
        });
        Self {
            name: sink.harmless(&scenario.name),
            hypothesis: sink.harmless(&scenario.hypothesis),
            params: params.collect(),
            objectives: scenario.all_objectives().map(str::to_owned).collect(),
        }
    }
}
