//! The errors of reports.

use std::path::PathBuf;

/// A report could not be rendered or written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The template could not be rendered. This is a bug of Firedrill.
    #[error("cannot render the page")]
    Html(#[from] minijinja::Error),
    /// A value could not be serialized. This is a bug of Firedrill.
    #[error("cannot render JSON")]
    Json(#[from] serde_json::Error),
    /// The file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}
