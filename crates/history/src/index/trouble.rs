//! Errors of the index, before the directory is added to them.

/// An error below [`HistoryError`].
#[derive(Debug)]
pub(super) enum Trouble {
    Store(rusqlite::Error),
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
