//! The place in the scenario's file at which CI systems show a reason.

/// A place in a file: its path from the root of the repository, and the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

/// Returns the place of an attack in the scenario; of the scenario where none is named. `None` if it is in no file of the repository.
pub type Places<'a> = &'a dyn Fn(Option<&str>) -> Option<Place>;
