//! The scenario language: from text to a [`Scenario`], with every problem pointed at.
//!
//! Knows files and their words, not hosts: nothing here reads a fleet, asks an agent or decides what happens.

pub mod attack;
mod decode;
pub mod diagnose;
mod duplicate;
pub(crate) mod flaws;
pub mod guard;
mod hidden;
pub mod objective;
pub mod param;
pub mod probe;
mod read;
pub(crate) mod reading;
mod root;
mod schema;
pub mod spot;
mod suggest;
pub mod target;
mod tree;

pub use read::read;
pub(crate) use root::KEYS;
pub use root::ScenarioFile;
pub use schema::schema;
pub(crate) use schema::set_title as set_schema_title;
pub use spot::{Item, Spot, Values};

use std::collections::{BTreeMap, BTreeSet};

use firedrill_wire::Span;

use crate::plan::model::Ci;

/// The version of the language that this build reads (`schema = 1`).
pub const SCHEMA: u32 = 1;

/// How long an agent keeps anything of a run without hearing from its coordinator, unless the scenario says otherwise.
pub const LEASE: Span = Span::secs(10);

/// A scenario as its files say it: parameters filled in, includes merged, names not yet looked up.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What the drill is to show.
    pub hypothesis: String,
    /// The environment, for the hosts' policies.
    pub environment: Option<Item<String>>,
    /// Free text: owner, ticket, …
    pub meta: BTreeMap<String, String>,
    /// Silence of the coordinator for so long heals.
    pub lease: Option<Item<Span>>,
    /// The parameters' values, as text.
    pub params: BTreeMap<String, String>,
    /// Selectors.
    pub targets: Vec<Item<target::Target>>,
    /// Measurements.
    pub probes: Vec<Item<probe::Probe>>,
    /// What must hold.
    pub objectives: Vec<Item<objective::Objective>>,
    /// What aborts, and how much may be harmed.
    pub guard: Option<Item<guard::Guard>>,
    /// Settings for CI.
    pub ci: Option<Item<Ci>>,
    /// What attacks have unless they say otherwise.
    pub attack_defaults: Option<Item<attack::AttackDefaults>>,
    /// The attacks, in order.
    pub attacks: Vec<Item<attack::Attack>>,
    /// Names of tables that are there and could not be read: they do not refer to nothing.
    pub lost: BTreeSet<String>,
}

impl Scenario {
    /// The target of that name.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<&Item<target::Target>> {
        self.targets.iter().find(|target| target.name == name)
    }

    /// The probe of that name.
    #[must_use]
    pub fn probe(&self, name: &str) -> Option<&Item<probe::Probe>> {
        self.probes.iter().find(|probe| probe.name == name)
    }

    /// The objective of that name.
    #[must_use]
    pub fn objective(&self, name: &str) -> Option<&Item<objective::Objective>> {
        self.objectives.iter().find(|objective| objective.name == name)
    }
}
