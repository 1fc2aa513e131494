//! Errors inside the index. The caller adds the directory to them.

/// An error that the caller converts into a [`HistoryError`](crate::error::HistoryError).
#[derive(Debug)]
pub(super) enum Trouble {
    /// The database failed.
    Store(rusqlite::Error),
    /// An entry could not be serialized, which is a bug.
    Encode(serde_json::Error),
}

impl From<serde_json::Error> for Trouble {
    fn from(error: serde_json::Error) -> Self {
        Self::Encode(error)
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error)
    }
}
