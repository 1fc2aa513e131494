//! The decision of a gate in the formats of CI systems. Each format has a file with functions that make its text from the run and the decision.
//! These functions decide nothing, and write no file.

mod github;
mod gitlab;
mod junit;
mod place;
#[cfg(test)]
mod tests;

pub use github::{annotations, summary};
pub use gitlab::code_quality;
pub use junit::junit;
pub use place::{Place, Places};
