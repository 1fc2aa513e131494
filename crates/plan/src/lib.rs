//! Reads scenarios and fleets, checks them, and makes the plan of a drill from them. Explains each problem with file, line
//! and caret.
//!
//! Never speaks to an agent, and changes no file. The only program that it starts is the one that a fleet names.

pub mod alike;
pub mod diagnostic;
pub mod fleet;
pub mod plan;
pub mod reference;
pub mod scenario;
pub mod typed;
