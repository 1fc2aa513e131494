//! What a host looks like, as text: taken before a run and compared after it. Reads only.

pub mod processes;
pub mod units;

/// Something could not be read, so that nothing can be said about the host's state.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SnapshotError(pub String);
