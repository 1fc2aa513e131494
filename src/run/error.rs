//! Errors of runs that could not begin, or whose log failed.

use std::path::PathBuf;

use crate::log::{Log, LogError};

/// The reason why a run could not begin, or why its log failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The log could not be made, read or written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The run's folder could not be made.
    #[error("cannot make the run's folder {}", path.display())]
    Folder {
        /// Its path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The log does not begin like that of a run.
    #[error("{0} is not the log of a run: its first record is missing")]
    NotALog(PathBuf),
    /// The log failed during the run; everything was undone, as far as that was possible.
    #[error(
        "the run's log broke, so the run was stopped and {}",
        if left.is_empty() { "everything was put back".to_owned() } else { format!("healed, but {} may not be as before", left.join(", ")) }
    )]
    Broken {
        /// The log's error.
        source: LogError,
        /// Hosts that are not proven to be as before.
        left: Vec<String>,
        /// The log as the coordinator has it in memory, with records that the file lacks.
        whole: Box<Log>,
    },
}
