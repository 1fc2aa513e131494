//! Problems of files: the error, its place, and the correction. All problems of the files are reported together.
//!
//! Collects and prints; never decides what a problem is.

mod covered;
mod json;
mod problem;
mod report;
mod sink;
mod spot;
mod suggest;
mod text;

#[cfg(test)]
pub(crate) use covered::covered;
pub use json::{JsonEnd, JsonProblem};
pub use problem::{FileId, Place, Problem, Severity, Source};
pub use report::{Report, plural};
pub use sink::Sink;
pub(crate) use spot::Word;
pub use spot::{Item, Spot, Values};
pub use suggest::{nearest, suggest};
