//! The history of runs: an index over the folders of finished runs, and results about many runs (findings, trends, comparisons, gates).
//!
//! The folders are the truth. The index is a cache that can be made from them at any time. A damaged folder is listed as damaged. Only the texts that
//! people write about findings are in no folder: they are in `findings.toml` beside the folders. This crate never changes a run's folder, and knows
//! nothing of the command line.

mod baseline;
mod change;
mod ci;
mod compare;
mod entry;
mod error;
mod filter;
mod finding;
mod gate;
mod index;
mod listing;
mod outcome;
mod page;
mod scan;
#[cfg(test)]
mod testing;
mod time;
mod times;
mod trend;
mod usual;

pub use baseline::{AttackResult, Head, ObjectiveResult, Results, kept};
pub use change::Change;
pub use ci::{Place, Places, annotations, code_quality, junit, summary};
pub use compare::{Comparison, Plans, Row, Side, TimesRow, UsualOf, compare, compare_with};
pub use entry::Entry;
pub use error::HistoryError;
pub use filter::{Filter, Shown};
pub use finding::{ByRuns, Finding, NewFinding, Severity, State};
pub use gate::{Gate, Kind, Reason, gate};
pub use index::{Findings, History, Refreshed};
pub use listing::{Damaged, Listed, Listing};
pub use page::address;
pub use time::{minute, moment};
pub use times::Times;
pub use trend::{Flaky, Scenario, flaky, once_each, scenarios};
pub use usual::ENOUGH;
