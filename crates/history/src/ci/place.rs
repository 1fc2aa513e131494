//! The place in the scenario's file at which CI systems show a reason.

/// A place in a file: its path from the root of the repository, and the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

/// A function that returns the place of an attack in the scenario's file, or of the scenario itself if no attack is named. It returns `None` if the
/// scenario is in no file of the repository.
pub type Places<'a> = &'a dyn Fn(Option<&str>) -> Option<Place>;
