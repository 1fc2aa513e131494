//! The result of one packet of a check. Data only.

use std::time::Duration;

/// The result of one packet or handshake.
pub(super) enum Answer {
    /// Answered, after this time.
    Answered(Duration),
    /// Refused, after this time.
    Refused(Duration),
    /// Not sent, or reported unreachable.
    Failed(String),
    /// No answer in time.
    Silent,
}
