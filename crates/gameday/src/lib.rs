//! Game days: files with drills, their schedule, the people who take part, and the conditions.
//!
//! Reads and checks these files, and computes their slots in civil time with built-in zone data. Never starts a run, never asks a
//! host, and never reads a clock: callers pass the time.

mod budget;
pub mod calendar;
mod closed;
mod cron;
pub mod due;
mod entry;
mod file;
mod gameday;
pub mod ics;
mod monkey;
mod not_on;
pub mod overlap;
mod pattern;
pub mod promotion;
mod random;
mod read;
pub mod record;
mod schedule;
mod times;

pub use budget::{Beginning, Budget};
pub use closed::{Closed, Span as ClosedSpan};
pub use entry::{ScenarioEntry, Seed};
pub use file::{GamedayFile, GoNoGo, Requires};
pub use gameday::{Drill, Gameday, Incident};
pub use monkey::{Monkey, Undrawable};
pub use read::{is_gameday, read};
pub use schedule::{Schedule, Slot};
pub use times::zones;

use std::collections::BTreeMap;

use firedrill_plan::scenario::source::Source;
use serde_json::Value;

/// The game day whose parts are the examples on the reference page.
pub const EXAMPLE: &str = include_str!("reference/gameday.toml");

/// Further examples of a schedule. Each can replace the schedule of [`EXAMPLE`].
pub const SCHEDULES: &str = include_str!("reference/schedules.toml");

/// An example of a drill that is drawn. It can replace the scenarios of [`EXAMPLE`].
pub const MONKEY: &str = include_str!("reference/monkey.toml");

/// Returns the JSON Schema of game days (draft 2020-12).
#[must_use]
pub fn schema() -> Value {
    let mut schema = own_schema();
    let sources = schemars::schema_for!(BTreeMap<String, Source>).to_value();
    schema["properties"]["sources"]["additionalProperties"] = sources["additionalProperties"].clone();
    let definitions = sources["$defs"].as_object().cloned().unwrap_or_default();
    if let Some(all) = schema["$defs"].as_object_mut() {
        all.extend(definitions);
    }
    schema
}

/// Returns the JSON Schema of game days without the keys of sources. The page about scenarios describes those.
#[must_use]
pub fn own_schema() -> Value {
    firedrill_plan::scenario::titled_schema::<GamedayFile>("Firedrill game day")
}

/// Returns the reference page.
#[must_use]
pub fn page() -> String {
    let examples = format!("{EXAMPLE}\n{SCHEDULES}\n{MONKEY}");
    firedrill_plan::reference::page(&own_schema(), &examples, include_str!("reference/gameday.md"))
}
