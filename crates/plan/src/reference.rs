//! Makes the reference pages in Markdown: of the files that people write, and of the reasons for which agents refuse.
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

/// Returns the page on scenario files.
#[must_use]
pub fn scenario() -> String {
    Page::new(&scenario::schema(), Example::all(SCENARIO_EXAMPLE)).text(include_str!("reference/scenario.md"))
}

/// Returns the page on fleet files.
#[must_use]
pub fn fleet() -> String {
    Page::new(&fleet::schema(), Example::all(FLEET_EXAMPLE)).text(include_str!("reference/fleet.md"))
}
