//! The errors of the history.

use std::path::PathBuf;

/// The history or a baseline could not be read. The message names the file.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The directory of runs could not be listed.
    #[error("cannot list the runs in {}", path.display())]
    List {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The index cannot be used. A damaged index is no error: it is made anew.
    #[error("cannot use the index of the runs in {}", path.display())]
    Index {
        /// The directory.
        path: PathBuf,
        /// The database's error.
        source: rusqlite::Error,
    },
    /// An entry could not be serialized, which is a bug.
    #[error("cannot put a run into the index")]
    Encode(#[from] serde_json::Error),
    /// The file of findings cannot be read or written.
    #[error("cannot use the findings in {}: {why}", path.display())]
    Findings {
        /// The file.
        path: PathBuf,
        /// The problem; for a mistake in the text, with its line.
        why: String,
    },
    /// No finding, or more than one, has an id that begins like this.
    #[error("no single finding in {} has an id that begins with `{id}`", path.display())]
    NoFinding {
        /// The id, or its beginning.
        id: String,
        /// The file.
        path: PathBuf,
    },
    /// There is no run that can be read in a folder of that name.
    #[error("there is no run in {} that can be read", reports.join(folder).display())]
    NoRun {
        /// The folder's name.
        folder: String,
        /// The directory of runs.
        reports: PathBuf,
    },
    /// The page over all runs cannot be written.
    #[error("cannot write {}: {why}", path.display())]
    Page {
        /// The file.
        path: PathBuf,
        /// The defect.
        why: String,
    },
    /// No objective of the run has this name.
    #[error("no objective of the run is named `{name}`; there are {known}")]
    NoObjective {
        /// The name.
        name: String,
        /// The names of the run's objectives.
        known: String,
    },
    /// A file is no baseline.
    #[error("{} is no baseline: {why}", path.display())]
    NoBaseline {
        /// The file.
        path: PathBuf,
        /// The defect.
        why: String,
    },
}
