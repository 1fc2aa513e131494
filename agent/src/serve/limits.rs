//! Limits of connections. Constants only.

use std::time::Duration;

/// Maximum time of a TLS handshake.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// Maximum number of handshakes in progress.
pub(super) const HANDSHAKES: usize = 64;
/// Maximum number of connections of known peers.
pub(super) const CONNECTIONS: usize = 256;
/// Maximum time of a connection without a call.
pub(super) const IDLE: Duration = Duration::from_secs(60);
/// Maximum time for calls in progress to end when the server stops.
pub(super) const LAST_CALLS: Duration = Duration::from_secs(2);
/// Time for which the connection of a person who is no longer trusted stays open, so that this person can still read how
/// the runs ended. All calls on it are refused meanwhile.
pub(super) const FAREWELL: Duration = Duration::from_millis(500);
