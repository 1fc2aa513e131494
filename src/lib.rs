//! Firedrill's coordinator: reads a scenario, sends faults to agents, watches objectives, scores the recovery and
//! writes the report. It does not need root, and links no code that does; the exception is the lab, a feature.

#[macro_use]
mod terminal;

// Modules of the crates `judge` and `plan`, under the names that this crate, its tests and its benches use.
pub use firedrill_judge::{log, report, score, verdict};
pub(crate) use firedrill_plan::alike;
pub use firedrill_plan::{diagnostic, fleet, reference, scenario};

pub mod approval;
pub mod cli;
pub mod link;
mod own;
pub mod pki;
pub mod plan;
#[cfg(feature = "lab")]
pub mod rehearsal;
pub mod run;
pub mod stores;
pub mod told;
mod user;
