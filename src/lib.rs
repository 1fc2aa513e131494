//! Firedrill's coordinator: reads a scenario, sends faults to agents, watches objectives, scores the recovery and
//! writes the report. It needs no root and links nothing that does; the lab, a feature, is the exception.

#[macro_use]
mod terminal;
mod text;

mod alike;
pub mod approval;
pub mod cli;
pub mod fleet;
pub mod link;
pub mod log;
pub mod pki;
pub mod plan;
pub mod reference;
#[cfg(feature = "lab")]
pub mod rehearsal;
pub mod report;
pub mod run;
pub mod scenario;
pub mod score;
pub mod statistics;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod truth_bench;
pub mod verdict;
mod whole;
