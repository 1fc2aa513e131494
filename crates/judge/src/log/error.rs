//! The errors of reading and writing a log.

use std::{io, path::PathBuf};

/// A log could not be read or written. The message names the file.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file could not be opened, read or written.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The operation that failed.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another process writes it.
    #[error("{} is being written by another firedrill; follow it with `firedrill watch`, or wait until it ends", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A line before the last is not a record. Nothing after it can be trusted.
    #[error("{} line {line} is damaged: {why}; restore the file from a copy, nothing in it was changed", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The defect.
        why: String,
    },
    /// The record could not be serialized.
    #[error("cannot write a record to {} as JSON", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// The serializer's error.
        source: serde_json::Error,
    },
}
