//! The structure of a game day's file. It is used to read the file, and its doc comments are part of the JSON Schema and of docs/gamedays.md.

use std::collections::BTreeMap;

use firedrill_plan::{diagnostic::Spot, scenario::source::Source};
use firedrill_wire::{Share, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::entry::{ParamValue, ScenarioEntry};

/// Returns a schema for the table of sources without the keys of a source: those are described with scenarios.
fn table_of_sources(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object" })
}

/// A game day: which scenarios are run on which fleet, when, and who takes part.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GamedayFile {
    /// The version of the format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub schema: u32,
    /// The game day's name: lower-case letters, digits and `-`. Name and civil time together name a slot, so two files cannot have the same name.
    #[schemars(regex(pattern = r"^[a-z0-9][a-z0-9-]*$"))]
    pub name: String,
    /// The scenarios, in the order in which they are run: paths, or tables with parameters and a seed. Paths are relative to the
    /// folder that has the folder `gamedays`; for a file elsewhere, to its own folder. Needed unless there is `monkey`.
    #[serde(default)]
    pub scenarios: Vec<ScenarioEntry>,
    /// In place of `scenarios`: a drill that is drawn at random for each slot.
    #[serde(default)]
    pub monkey: Option<MonkeyFile>,
    /// The fleet's file; its path is relative like those of scenarios.
    pub fleet: String,
    /// The schedule: exactly one of `cron`, `every` and `once`.
    pub schedule: ScheduleFile,
    /// The days on which it is not held, although it is due: dates (`"2026-12-04"`), ranges with both ends included
    /// (`"2026-12-18..2027-01-04"`), and paths of iCalendar files (`.ics`) of holidays and freezes. Dates are those of the schedule's
    /// zone.
    #[serde(default)]
    pub not_on: Vec<String>,
    /// The times before the start at which it is announced, each a duration. A control room that starts game days
    /// tells the channels of `notify`, and `gameday show` lists the times.
    #[serde(default)]
    pub announce: Vec<Span>,
    /// The channels that are told of the game day and of its runs, by their names in the file of `channels`.
    #[serde(default)]
    pub notify: Vec<String>,
    /// The file of channels ([channels](channels.md)); its path is relative like those of scenarios.
    #[serde(default = "GamedayFile::usual_channels")]
    pub channels: String,
    /// The roles, each with the name of the person who has it.
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
    /// The people who have to agree before the start (`firedrill gameday agree`).
    #[serde(default)]
    pub go_no_go: Option<GoNoGo>,
    /// The folder of standing approvals, with a folder for each game day (`firedrill gameday approve`); its path is relative like those of
    /// scenarios.
    #[serde(default = "GamedayFile::usual_approvals")]
    pub approvals: String,
    /// The promotion: a run in another environment that must have held before.
    #[serde(default)]
    pub requires: Option<Requires>,
    /// The conditions under which it is not held, because an incident is running. They are checked at the start.
    #[serde(default)]
    pub skip_if: Vec<SkipIf>,
    /// Systems that are asked for alerts, by name, with the keys that sources of scenarios have.
    #[serde(default)]
    #[schemars(schema_with = "table_of_sources")]
    pub sources: BTreeMap<String, Source>,
}

/// A condition under which a game day is not held.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SkipIf {
    /// An alert that fires, even if it is silenced.
    pub alert: RunningAlert,
}

/// An alert of a running incident.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunningAlert {
    /// The source, by name.
    pub source: Spot<String>,
    /// The alert's name, as in an objective of a scenario.
    pub name: Spot<String>,
    /// Labels that it must have, each with exactly that value.
    #[serde(default)]
    pub labels: BTreeMap<String, Spot<String>>,
}

impl GamedayFile {
    fn usual_approvals() -> String {
        "approvals".to_owned()
    }

    fn usual_channels() -> String {
        "channels.toml".to_owned()
    }
}

/// A drill that is drawn at random for each slot: some attacks of one scenario, with newly picked targets. The seed is computed from the game day's
/// name and the slot.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MonkeyFile {
    /// The scenario whose attacks are drawn. Its probes, objectives and guards stay. Its path is relative like those of `scenarios`.
    pub scenario: String,
    /// Values of its parameters: texts, numbers, `true` or `false`.
    #[serde(default)]
    pub params: BTreeMap<String, ParamValue>,
    /// Number of attacks of a drill. Each group of an attack with `for_each` counts as an attack.
    #[serde(default = "MonkeyFile::usual_attacks")]
    #[schemars(range(min = 1))]
    pub attacks: u32,
    /// The budget, such as `"1 a day"`, `"2 a week"` or `"3 a month"`, in civil time; weeks begin on Monday. A slot beyond it is not held.
    #[serde(default)]
    pub at_most: Option<String>,
}

impl MonkeyFile {
    const fn usual_attacks() -> u32 {
        1
    }
}

/// The schedule of a game day, in the civil time of a zone.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleFile {
    /// Five fields: minute, hour, day of month, month, day of week. Lists, ranges, steps and names (`FRI`, `DEC`) are known, and `L`
    /// (last day of the month), `FRIL` (last Friday) and `FRI#1` (first Friday). Either the day of the month or the day of the
    /// week is `*`.
    #[serde(default)]
    pub cron: Option<String>,
    /// A number of days, weeks or months, such as `"2 weeks"`, counted in civil time from `from`.
    #[serde(default)]
    pub every: Option<String>,
    /// With `every`: the first day, such as `"2026-10-09"`.
    #[serde(default)]
    pub from: Option<String>,
    /// With `every`: the time of day, such as `"14:00"`.
    #[serde(default)]
    pub at: Option<String>,
    /// One moment, such as `"2026-12-04T14:00"`.
    #[serde(default)]
    pub once: Option<String>,
    /// The time zone by its IANA name, such as `"Europe/Berlin"`. There is no default.
    pub zone: String,
    /// The maximum delay of a slot, at most 12 h. A slot always has the same delay, which is shown beforehand.
    #[serde(default)]
    pub jitter: Option<Span>,
    /// With `cron` or `every`: the share of the times that become slots, from 1% to 100%. Which times these are is computed from the game day's
    /// name and the time, so the slots are known beforehand.
    #[serde(default)]
    #[schemars(extend("default" = "100%"))]
    pub chance: Option<Share>,
}

/// The people who have to agree before the start.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GoNoGo {
    /// Number of different people who have to agree.
    #[schemars(range(min = 1))]
    pub people: u32,
    /// The roles whose holders may agree.
    pub of: Vec<String>,
    /// The time for which an agreement counts. Without enough agreements at the start, the game day is not held.
    pub expires: Span,
}

/// For each scenario, a run that must have held before in another environment. It must have used the same files; parameters and fleet may differ.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Requires {
    /// The environment of that run, as its scenario names it.
    pub environment: String,
    /// The maximum time from the start of that run to the slot.
    pub held_within: Span,
}
