//! The structure of a game day's file, with which it is read and from which its JSON Schema is made.

use std::collections::BTreeMap;

use firedrill_wire::Span;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::entry::ScenarioEntry;

/// A game day: which scenarios are run on which fleet, when, and who takes part.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GamedayFile {
    /// The version of the format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub schema: u32,
    /// The game day's name: lower-case letters, digits and `-`. With the civil time it names a slot, so no two files have the same.
    #[schemars(regex(pattern = r"^[a-z0-9][a-z0-9-]*$"))]
    pub name: String,
    /// The scenarios, in the order in which they are run: paths, or tables with parameters and a seed. Paths are relative to the
    /// folder that has the folder `gamedays`; for a file elsewhere, to its own folder.
    pub scenarios: Vec<ScenarioEntry>,
    /// The fleet's file; its path is relative like those of scenarios.
    pub fleet: String,
    /// When it is due: exactly one of `cron`, `every` and `once`.
    pub schedule: ScheduleFile,
    /// When it is not held, although it is due: dates (`"2026-12-04"`), ranges with both ends included
    /// (`"2026-12-18..2027-01-04"`), and paths of iCalendar files (`.ics`) of holidays and freezes. Dates are those of the schedule's
    /// zone.
    #[serde(default)]
    pub not_on: Vec<String>,
    /// How long before the start it is announced, each a duration. They are shown, with their times.
    #[serde(default)]
    pub announce: Vec<Span>,
    /// Who has which role: names of people, by role.
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
    /// Who has to agree before the start.
    #[serde(default)]
    pub go_no_go: Option<GoNoGo>,
    /// What has to have held before, elsewhere.
    #[serde(default)]
    pub requires: Option<Requires>,
}

/// When a game day is due, in the civil time of a zone.
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
    /// Up to so much later, at most 12 h. The same slot always has the same delay, and it is shown.
    #[serde(default)]
    pub jitter: Option<Span>,
}

/// Who has to agree before the start.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GoNoGo {
    /// How many different people.
    #[schemars(range(min = 1))]
    pub people: u32,
    /// The roles whose holders may agree.
    pub of: Vec<String>,
    /// The time within which they have to agree; without enough of them the game day is not to be held.
    pub expires: Span,
}

/// What has to have held before, elsewhere: the same files of each scenario, with any parameters and fleet.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Requires {
    /// The environment of that run, as its scenario names it.
    pub environment: String,
    /// How long ago that run may have begun, counted from the slot.
    pub held_within: Span,
}
