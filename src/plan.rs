//! Scenario and fleet become a plan: every refusal that needs no host is made here.

pub mod model;

pub use model::Plan;
