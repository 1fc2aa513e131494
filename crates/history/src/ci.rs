//! The decision of a gate in the formats of CI systems. Each format has a file with a function that makes text from the run and the decision.
//! Nothing here decides or writes anything.

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
