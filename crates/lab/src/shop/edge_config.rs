//! The configuration of `edge`, for HAProxy and for the built-in load balancer. Reads no files.

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};

/// The configuration of a load balancer; the same for both kinds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EdgeConfig {
    /// The port, for IPv4 and IPv6.
    pub port: u16,
    /// The backends.
    pub backends: Vec<Backend>,
    /// Whether the load balancer checks the health of its backends. Without checks, it also neither takes backends out of use nor retries
    /// requests: it is broken on purpose.
    pub health_check: bool,
    /// The interval of health checks, in milliseconds.
    pub interval_ms: u64,
    /// Maximum time of a check, in milliseconds.
    pub check_timeout_ms: u64,
    /// Number of failed checks in a row until a backend is out.
    pub fall: u32,
    /// Number of good checks in a row until a backend is back.
    pub rise: u32,
    /// Maximum time for connecting, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Maximum time of one try of a request until the answer begins, in milliseconds.
    pub try_timeout_ms: u64,
}

/// One host behind the load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// The backend's name, shown in the status.
    pub name: String,
    /// The backend's address and port.
    pub address: SocketAddr,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            port: 80,
            backends: Vec::new(),
            health_check: true,
            interval_ms: 500,
            check_timeout_ms: 300,
            fall: 2,
            rise: 2,
            connect_timeout_ms: 250,
            try_timeout_ms: 1000,
        }
    }
}

impl EdgeConfig {
    /// Makes a configuration with this port, these backends and defaults for all else.
    #[must_use]
    pub fn new(port: u16, backends: Vec<Backend>) -> Self {
        Self { port, backends, ..Self::default() }
    }

    pub(super) fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms.max(10))
    }
}
