//! The scenarios and fleets that the program around the control room knows, as texts for pages. Addresses of pages have ids, never paths. This
//! module has only the data and the trait; it reads no file.

use std::sync::Arc;

use serde::Serialize;

use crate::later::Later;

/// All scenarios that are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scenarios {
    /// The scenarios, in the order of their files.
    pub all: Vec<ScenarioRow>,
    /// The problems of folders and game days, in words; empty if there are none.
    pub problems: String,
}

/// A scenario in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ScenarioRow {
    /// Its id in addresses.
    pub id: String,
    /// Its file.
    pub file: String,
    /// Its name; empty if that cannot be read.
    pub name: String,
    /// The names of the game days that run it.
    pub gamedays: Vec<String>,
    /// The result of its check.
    pub check: Check,
}

/// The result of a check, the same as that of `firedrill check`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Number of errors.
    pub errors: usize,
    /// Number of warnings.
    pub warnings: usize,
    /// Whether it was checked without a fleet, which leaves something unchecked.
    pub partly: bool,
    /// Errors and warnings with file, line and caret.
    pub told: String,
    /// The plan in one line, or, without a fleet, the checks that were not made.
    pub summary: String,
}

/// A scenario, and its plan for a fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ScenarioFacts {
    /// Its row in the list, but with the check for the chosen fleet.
    pub row: ScenarioRow,
    /// Its hypothesis.
    pub hypothesis: String,
    /// The scenario's file and the files that it includes, with secrets covered. Empty while they have errors, because a secret at a wrong place would
    /// not be found.
    pub files: Vec<TextFile>,
    /// Its parameters.
    pub params: Vec<ParamRow>,
    /// The names of its objectives.
    pub objectives: Vec<String>,
    /// The game days and fleets that its plan can be made for.
    pub choices: Vec<Choice>,
    /// The choice that its plan was made for; `None` if there is nothing to choose.
    pub chosen: Option<Choice>,
    /// Its plan; `None` without a fleet, or with errors.
    pub preview: Option<Preview>,
}

/// A file that belongs to a scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TextFile {
    /// Its path.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// A parameter of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ParamRow {
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub kind: String,
    /// Its default; `None` if a value has to be given.
    pub default: Option<String>,
    /// The value that the chosen game day gives; `None` if it gives none.
    pub given: Option<String>,
    /// Its purpose.
    pub about: String,
}

/// A game day or a fleet that a plan is made for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// Its id in addresses.
    pub id: String,
    /// Its name for people.
    pub label: String,
}

/// A plan, as a preview. It was made without asking any host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// Attacks, time and hosts in a line.
    pub summary: String,
    /// The seed of random picks.
    pub seed: u64,
    /// Whether each run draws a new seed.
    pub any_seed: bool,
    /// The limits of the blast radius, each a clause.
    pub limits: Vec<String>,
    /// The attacks, in order.
    pub attacks: Vec<PlannedAttack>,
    /// The whole plan, as `firedrill run --plan` prints it before hosts have answered.
    pub text: String,
}

/// An attack of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PlannedAttack {
    /// Its name.
    pub name: String,
    /// The approval that it needs, in words; `None` if it needs none.
    pub approval: Option<String>,
    /// The attacks that must have run before, in words; empty if there are none.
    pub needs: String,
    /// The hosts that it touches, in words.
    pub radius: String,
    /// The effects that its faults have together, each as a sentence.
    pub means: Vec<String>,
    /// Its effects.
    pub effects: Vec<PlannedEffect>,
}

/// An effect of an attack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PlannedEffect {
    /// The hosts.
    pub hosts: String,
    /// The fault with its parameters.
    pub fault: String,
    /// The time within the attack's fault phase, in words.
    pub when: String,
    /// The way in which it is put back, or the reason why it is not.
    pub undo: String,
    /// Whether firedrill does not put it back.
    pub irreversible: bool,
}

/// All fleets that game days name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleets {
    /// The fleets, in the order of their files.
    pub all: Vec<FleetRow>,
    /// The problems of game days, in words; empty if there are none.
    pub problems: String,
}

/// A fleet in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FleetRow {
    /// Its id in addresses.
    pub id: String,
    /// Its file.
    pub file: String,
    /// The names of the game days that run on it.
    pub gamedays: Vec<String>,
    /// Number of hosts.
    pub hosts: usize,
    /// The values of the label `provider`.
    pub providers: Vec<String>,
    /// The roles of its hosts.
    pub roles: Vec<String>,
    /// Number of errors in its file.
    pub errors: usize,
    /// Errors and warnings with file, line and caret.
    pub told: String,
    /// The last time that its hosts were asked; `None` if this server has never asked them.
    pub asked: Option<Asked>,
}

/// The last time that the hosts of a fleet were asked, and the answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The time at which the asking began, in seconds since 1970.
    pub at_s: i64,
    /// The person who asked.
    pub by: String,
    /// Whether hosts are still being asked.
    pub goes_on: bool,
    /// Number of hosts that were asked.
    pub of: usize,
    /// Number of hosts that have answered.
    pub answered: usize,
    /// Number of hosts that could not be asked.
    pub unknown: usize,
    /// Number of hosts on which something is in force.
    pub in_force: usize,
    /// Number of hosts whose `doctor` found a problem.
    pub wrong: usize,
}

/// A fleet with its hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetFacts {
    /// Its row in the list.
    pub row: FleetRow,
    /// Its hosts, in its order.
    pub hosts: Vec<HostRow>,
    /// The reason why this server cannot ask them; `None` if it can.
    pub unasked: Option<String>,
}

/// A host of a fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HostRow {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Its labels, each as `name=value`.
    pub labels: Vec<String>,
    /// Its roles.
    pub roles: Vec<String>,
    /// The last answer; `None` if it was never asked.
    pub known: Option<Known>,
}

/// The last answer of a host, or the lack of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Known {
    /// The time at which it was asked, in seconds since 1970.
    pub at_s: i64,
    /// The time of its last answer, in seconds since 1970; `None` if it has never answered.
    pub seen_s: Option<i64>,
    /// The reason why nothing is known of the host; `None` if the host has answered. With a reason, the fields after this one are empty.
    pub unknown: Option<String>,
    /// The agent's version.
    pub version: String,
    /// The injections in force, each in words.
    pub in_force: Vec<String>,
    /// Whether something could not be put back.
    pub stuck: bool,
    /// The person who halted it; `None` if it is not halted.
    pub halted_by: Option<String>,
    /// The finding of `doctor` about the end of the agent's certificate; `None` if that is not known.
    pub certificate: Option<Finding>,
    /// The findings of its `doctor` that are not good; at most [`Known::MOST`].
    pub findings: Vec<Finding>,
    /// Number of further findings that are not good.
    pub more: usize,
    /// Number of findings that are good.
    pub good: usize,
    /// The reason why there is no result of its `doctor`; `None` if there is one.
    pub undiagnosed: Option<String>,
}

impl Known {
    /// Maximum number of [`Self::findings`].
    pub const MOST: usize = 4;
}

/// A finding of `doctor`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its grade in a word: `good`, `note`, `missing` or `bad`.
    pub grade: &'static str,
    /// The observation, and how to mend it.
    pub text: String,
}

/// The files of scenarios and fleets, and the way to the hosts of fleets. [`Self::ask`] contacts hosts and does not block. All other functions
/// block, and contact no host.
pub trait Inventory: Send + Sync {
    /// Lists the scenarios.
    fn scenarios(&self) -> Scenarios;

    /// Returns a scenario by its id. Its plan is made for the [`Choice`] with the id `choice`; without that id, for the first choice. `None` if there is
    /// no such scenario or choice.
    fn scenario(&self, id: &str, choice: Option<&str>) -> Option<Arc<ScenarioFacts>>;

    /// Lists the fleets.
    fn fleets(&self) -> Fleets;

    /// Returns a fleet by its id; `None` if there is none.
    fn fleet(&self, id: &str) -> Option<FleetFacts>;

    /// Asks all hosts of a fleet at once for their status and the result of `doctor`. `by` is the person. Returns when all have answered, but
    /// after some seconds at the latest. The program then waits for the other hosts without the caller, and does not ask the fleet again meanwhile.
    /// Returns the progress in words.
    ///
    /// # Errors
    /// No host was asked; the error is the reason.
    fn ask<'a>(&'a self, id: &'a str, by: &'a str) -> Later<'a, Result<String, String>>;
}
