//! Results of checks for machines.

use std::path::Path;

use serde::Serialize;

use super::found::Found;
use crate::{
    cli::days::{self, Day},
    diagnostic::JsonProblem,
    plan::{Plan, model::Attack, print},
};

/// The result of a file's check, for machines.
#[derive(Serialize)]
pub(super) struct Checked {
    file: String,
    ok: bool,
    problems: Vec<JsonProblem>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_checked: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Summary>,
    /// Names of the hosts, if the file is a fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet: Option<Vec<String>>,
    /// The summary of the game day, if the file is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    gameday: Option<GamedaySummary>,
    /// Names of the channels, if the file has channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<Vec<String>>,
}

#[derive(Serialize)]
struct GamedaySummary {
    name: Option<String>,
    schedule: Option<String>,
    may_touch: Vec<String>,
    plans: Vec<Summary>,
}

#[derive(Serialize)]
struct Summary {
    name: String,
    digest: String,
    seed: u64,
    attacks: Vec<String>,
    hosts: Vec<String>,
    seconds: f64,
    irreversible: bool,
}

impl Checked {
    pub(super) fn new(file: &Path, found: &Found) -> Self {
        let (scenario, fleet) = match found {
            Found::Scenario(found) => (Some(found), None),
            Found::Fleet { hosts, .. } => (None, Some(hosts.clone())),
            Found::Gameday(_) | Found::Channels { .. } => (None, None),
        };
        let channels = match found {
            Found::Channels { names, .. } => Some(names.clone()),
            _ => None,
        };
        let gameday = match found {
            Found::Gameday(day) => Some(GamedaySummary::new(day)),
            _ => None,
        };
        Self {
            file: file.display().to_string(),
            ok: !found.failed(),
            problems: found.items(),
            not_checked: scenario.map_or_else(Vec::new, |found| found.unchecked.clone()),
            plan: scenario.and_then(|found| found.plan.as_ref()).map(Summary::new),
            fleet,
            gameday,
            channels,
        }
    }
}

impl GamedaySummary {
    fn new(day: &Day) -> Self {
        Self {
            name: day.gameday.as_ref().map(|gameday| gameday.name.clone()),
            schedule: day.gameday.as_ref().map(|gameday| gameday.schedule.to_string()),
            may_touch: days::may_touch(&day.drills).into_iter().collect(),
            plans: day.drills.iter().filter_map(|drill| drill.plan.as_ref()).map(Summary::new).collect(),
        }
    }
}

impl Summary {
    fn new(plan: &Plan) -> Self {
        Self {
            name: plan.name.clone(),
            digest: plan.digest(),
            seed: plan.seed,
            attacks: plan.attacks.iter().map(|attack| attack.name.clone()).collect(),
            hosts: plan.targets().into_iter().map(str::to_owned).collect(),
            seconds: print::total(plan).as_secs_f64(),
            irreversible: plan.attacks.iter().any(Attack::is_irreversible),
        }
    }
}
