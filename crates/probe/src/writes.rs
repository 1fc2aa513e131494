//! Write records: numbered records that a probe writes to a store, the file in which each is noted before and after it is sent, and the comparison
//! of that file with what the store has. Never decides whether a loss is allowed.

pub mod classes;
pub mod entry;
pub mod file;
mod read_back;
pub mod record;
pub mod store;
#[cfg(test)]
mod tests;
mod tidy;

use std::path::PathBuf;

use firedrill_wire::writes::Author;

pub use read_back::{PASS_WITHIN, PASSES_APART, Reader};

/// The place of the write records of a run.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder. It is made where it is missing.
    pub folder: PathBuf,
    /// The run, and the vantage that writes.
    pub author: Author,
}
