//! The change of a figure between runs.

use serde::Serialize;

/// The change of an objective from one run to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Worse, by more than chance explains.
    Worse,
    /// Better, by more than chance explains.
    Better,
    /// No difference that chance does not explain.
    Same,
    /// The figures cannot be compared.
    Unknown,
    /// It was judged only in the later run.
    Added,
    /// It was judged only in the earlier run.
    Removed,
}

impl Change {
    /// Returns the word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Better => "better",
            Self::Same => "no difference shown",
            Self::Unknown => "unknown",
            Self::Added => "new",
            Self::Removed => "gone",
        }
    }
}
