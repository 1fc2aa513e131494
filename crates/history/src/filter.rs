//! Which runs are asked for.

/// A verdict that runs are asked for by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Those that held.
    Held,
    /// Those that did not.
    Violated,
    /// Those of which it is not known.
    Unknown,
    /// Folders that cannot be read.
    Damaged,
}

impl Shown {
    /// Returns the word that the index has for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Violated => "violated",
            Self::Unknown => "unknown",
            Self::Damaged => "damaged",
        }
    }
}

/// Which runs are asked for. The default is all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The scenario's name.
    pub scenario: Option<String>,
    /// The verdict.
    pub shown: Option<Shown>,
    /// Earliest start, in seconds since 1970.
    pub since_s: Option<i64>,
    /// Maximum number of runs; the newest are taken.
    pub limit: Option<usize>,
}
