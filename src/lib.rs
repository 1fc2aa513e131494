//! Firedrill's coordinator: reads a scenario, sends faults to agents, watches objectives, scores the recovery and
//! writes the report. It needs no root and links nothing that does; the lab, a feature, is the exception.

#[macro_use]
mod terminal;

pub use firedrill_plan::{alike, diagnostic, fleet, plan, reference, scenario};

pub mod approval;
pub mod cli;
pub mod link;
pub mod log;
pub mod pki;
#[cfg(feature = "lab")]
pub mod rehearsal;
pub mod report;
pub mod run;
pub mod score;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod truth_bench;
pub mod verdict;
