//! Errors of calls.

use std::io;

/// A call failed.
#[derive(Debug, thiserror::Error)]
pub enum DbusError {
    /// The service answered with an error.
    #[error("{text}")]
    Refused {
        /// The error's name, such as `org.freedesktop.systemd1.NoSuchUnit`.
        name: String,
        /// Its text, or its name if it has none.
        text: String,
    },
    /// The connection failed, or no answer came in time.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The other side violates the protocol.
    #[error("the bus sent {0}")]
    Nonsense(String),
}
