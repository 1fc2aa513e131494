//! Makes the reference pages in Markdown: on the files that people write, and on the reasons for which agents refuse. Writes no file.
//!
//! The pages of files are made from the JSON Schemas, whose texts are the doc comments of the types with which the files are read.
//! So a new key or a changed default changes the page.

mod anchors;
mod examples;
mod faults;
mod keys;
mod names;
mod page;
mod refusals;
mod shape;

pub use anchors::anchor;
pub use examples::Example;
use page::Page;
pub use refusals::refusals;

use crate::{fleet, scenario};

/// The scenario whose parts are the examples on the page on scenarios.
pub const SCENARIO_EXAMPLE: &str = include_str!("reference/scenario.toml");
/// The fleet whose parts are the examples on the page on fleets. The scenario is for this fleet.
pub const FLEET_EXAMPLE: &str = include_str!("reference/fleet.toml");

/// Returns the page on the files of a schema: the text `head`, then each table and key, with the parts of `examples`.
#[must_use]
pub fn page(schema: &serde_json::Value, examples: &str, head: &str) -> String {
    Page::new(schema, Example::all(examples)).text(head)
}

/// Returns the page on scenario files.
#[must_use]
pub fn scenario() -> String {
    page(&scenario::schema(), SCENARIO_EXAMPLE, include_str!("reference/scenario.md"))
}

/// Returns the page on fleet files.
#[must_use]
pub fn fleet() -> String {
    page(&fleet::schema(), FLEET_EXAMPLE, include_str!("reference/fleet.md"))
}
