//! The scenario language: parses text into a [`Scenario`] and points at every problem.
//!
//! Knows files and their keys, not hosts: nothing here reads a fleet, asks an agent or decides what happens.

pub mod alert;
pub mod any_attack;
pub mod any_objective;
pub mod attack;
pub mod budget;
mod decode;
mod duplicate;
pub(crate) mod flaws;
pub mod guard;
pub(crate) mod hidden;
pub mod log;
pub mod metric;
pub mod objective;
pub mod param;
pub mod pick_by;
pub mod probe;
mod read;
pub(crate) mod reading;
mod root;
mod schema;
pub mod source;
pub mod step;
pub mod target;
mod tree;

pub use read::read;
pub use root::{KEYS, ScenarioFile};
pub use schema::schema;
pub use schema::titled as titled_schema;

use std::collections::{BTreeMap, BTreeSet};

use firedrill_wire::Span;

use crate::{
    diagnostic::{Item, Place},
    plan::model::Ci,
};

/// Version of the language that this build reads (`schema = 1`).
pub const SCHEMA: u32 = 1;

/// Time without a renewal by the coordinator after which an agent heals, unless the scenario sets another.
pub const LEASE: Span = Span::secs(10);

/// A scenario from its files: parameters filled in, includes merged, names not yet resolved.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// The hypothesis: the expected behaviour of the system.
    pub hypothesis: String,
    /// The environment, for the hosts' policies.
    pub environment: Option<Item<String>>,
    /// Free text: owner, ticket, …
    pub meta: BTreeMap<String, String>,
    /// Agents heal after this time without a renewal by the coordinator.
    pub lease: Option<Item<Span>>,
    /// The parameters' values, as text.
    pub params: BTreeMap<String, String>,
    /// The parameters as the files declare them, by name.
    pub declared: BTreeMap<String, param::Declared>,
    /// Selectors.
    pub targets: Vec<Item<target::Target>>,
    /// Measurements.
    pub probes: Vec<Item<probe::Probe>>,
    /// Objectives that probes measure.
    pub objectives: Vec<Item<objective::Objective>>,
    /// Systems that are asked.
    pub sources: Vec<Item<source::Source>>,
    /// Objectives that sources measure.
    pub metrics: Vec<Item<metric::MetricObjective>>,
    /// Objectives of alerts.
    pub alerts: Vec<Item<alert::AlertObjective>>,
    /// Logs that agents read.
    pub logs: Vec<Item<log::Log>>,
    /// Objectives for logs.
    pub log_objectives: Vec<Item<log::LogObjective>>,
    /// Limits of the blast radius, and abort conditions.
    pub guard: Option<Item<guard::Guard>>,
    /// Settings for CI.
    pub ci: Option<Item<Ci>>,
    /// Defaults of attacks.
    pub attack_defaults: Option<Item<attack::AttackDefaults>>,
    /// The attacks, in order.
    pub attacks: Vec<Item<attack::Attack>>,
    /// The steps between attacks, in order.
    pub steps: Vec<Item<step::Step>>,
    /// The digest of the texts of its files, with those that it includes; empty if none can be read.
    pub files: String,
    /// Names of tables that exist but could not be read: references to them are not reported as unknown.
    pub lost: BTreeSet<String>,
}

impl Scenario {
    /// Returns the target of that name.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<&Item<target::Target>> {
        self.targets.iter().find(|target| target.name == name)
    }

    /// Returns the probe of that name.
    #[must_use]
    pub fn probe(&self, name: &str) -> Option<&Item<probe::Probe>> {
        self.probes.iter().find(|probe| probe.name == name)
    }

    /// Returns the source of that name.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&Item<source::Source>> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// Returns the objective of that name that a source measures.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<&Item<metric::MetricObjective>> {
        self.metrics.iter().find(|metric| metric.name == name)
    }

    /// Returns the objective of that name that is about an alert.
    #[must_use]
    pub fn alert(&self, name: &str) -> Option<&Item<alert::AlertObjective>> {
        self.alerts.iter().find(|alert| alert.name == name)
    }

    /// Returns the objective of that name for a log.
    #[must_use]
    pub fn log_objective(&self, name: &str) -> Option<&Item<log::LogObjective>> {
        self.log_objectives.iter().find(|one| one.name == name)
    }

    /// Returns the names of all objectives.
    pub fn all_objectives(&self) -> impl Iterator<Item = &str> {
        self.objective_places().map(|(name, _)| name)
    }

    /// Returns the names of all objectives, of every form, with their places.
    pub(crate) fn objective_places(&self) -> impl Iterator<Item = (&str, Place)> {
        let probed = self.objectives.iter().map(|one| (one.name.as_str(), one.place()));
        let measured = self.metrics.iter().map(|one| (one.name.as_str(), one.place()));
        let alerted = self.alerts.iter().map(|one| (one.name.as_str(), one.place()));
        let logged = self.log_objectives.iter().map(|one| (one.name.as_str(), one.place()));
        probed.chain(measured).chain(alerted).chain(logged)
    }

    /// Returns the objective of that name that a probe measures.
    #[must_use]
    pub fn objective(&self, name: &str) -> Option<&Item<objective::Objective>> {
        self.objectives.iter().find(|objective| objective.name == name)
    }
}
