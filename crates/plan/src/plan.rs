//! Makes a plan from a scenario and a fleet, with every refusal that needs no host.
//!
//! Never asks an agent and never waits; the same files, parameters and seed give the same plan.

pub mod decide;
mod draw;
pub mod exchange;
#[cfg(test)]
mod large;
mod load;
mod machine;
pub mod model;
mod moving;
mod outline;
mod partition;
mod peers;
pub mod print;
pub mod radius;
mod refuse;
mod resolve;
pub mod select;
mod timing;

pub use load::{Inspection, Options, inspect, inspect_as, load, load_as};
pub use model::Plan;
pub use outline::{Outline, Parameter};
pub use refuse::{AskedAlert, left_out, refuse_asked, refuse_lacking, refuse_source, refuse_unknown};
pub use resolve::fleet_addresses;
