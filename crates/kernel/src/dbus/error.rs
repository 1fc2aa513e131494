//! The errors of D-Bus calls. Handles none.

use std::io;

/// The error of a D-Bus call.
#[derive(Debug, thiserror::Error)]
pub enum DbusError {
    /// The service answered with an error.
    #[error("{text}")]
    Refused {
        /// The error's name, such as `org.freedesktop.systemd1.NoSuchUnit`.
        name: String,
        /// The error's text, or its name if it has no text.
        text: String,
    },
    /// The connection failed, or no answer came in time.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The other side violates the protocol. The text says what it sent.
    #[error("the bus sent {0}")]
    Nonsense(String),
}
