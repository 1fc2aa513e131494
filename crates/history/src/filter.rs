//! The filter that selects runs of the history.

/// A verdict by which runs are selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Runs in which all objectives held.
    Held,
    /// Runs with a violated objective, or that a guard aborted.
    Violated,
    /// Runs in which something could not be measured, or a fault did not take effect.
    Unknown,
    /// Folders that cannot be read as runs.
    Damaged,
}

impl Shown {
    /// Returns its word in the index.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Violated => "violated",
            Self::Unknown => "unknown",
            Self::Damaged => "damaged",
        }
    }
}

/// Selects runs. The default selects all of them. A run has to pass each field that is set.
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
    /// Number of the newest runs to skip.
    pub skip: usize,
}
