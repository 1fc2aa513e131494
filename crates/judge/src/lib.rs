//! Judges a run by its log: the log itself, the score, and reports of it.
//!
//! The log is the only source, and the same log gives the same card. Never speaks to an agent, and starts no program.

pub mod gauges;
pub mod log;
pub mod notes;
pub mod report;
pub mod score;
#[doc(hidden)]
pub mod testing;
#[cfg(test)]
mod truth_bench;
pub mod verdict;
