//! What a gate decided, in the formats of CI systems: a file for each, and each a function from the run and the decision to text. Nothing here
//! decides or writes anything.

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
