//! `edge`: the load balancer before the shop. HAProxy if it is installed, a small built-in one otherwise.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{haproxy, http, proxy};

/// The load balancer in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balancer {
    /// HAProxy, at this path.
    Haproxy(PathBuf),
    /// The built-in one.
    BuiltIn,
}

impl Balancer {
    /// Returns HAProxy if it is in one of the usual places.
    #[must_use]
    pub fn find() -> Self {
        let places =
            ["/usr/local/sbin/haproxy", "/usr/sbin/haproxy", "/usr/local/bin/haproxy", "/usr/bin/haproxy"];
        let found = places.into_iter().map(PathBuf::from).find(|path| path.is_file());
        found.map_or(Self::BuiltIn, Self::Haproxy)
    }

    /// Describes it for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Haproxy(path) => format!("HAProxy ({})", path.display()),
            Self::BuiltIn => "the built-in load balancer (HAProxy is not installed)".into(),
        }
    }
}

/// The configuration of a load balancer; the same for both kinds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EdgeConfig {
    /// The port, for IPv4 and IPv6.
    pub port: u16,
    /// The backends.
    pub backends: Vec<Backend>,
    /// Whether it checks their health. If not, it also neither ejects nor retries: broken on purpose.
    pub health_check: bool,
    /// The interval of checks, in milliseconds.
    pub interval_ms: u64,
    /// Maximum time of a check, in milliseconds.
    pub check_timeout_ms: u64,
    /// Number of failed checks in a row until a backend is out.
    pub fall: u32,
    /// Number of good checks in a row until it is back.
    pub rise: u32,
    /// Maximum time for connecting, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Maximum time of one try until the answer begins, in milliseconds.
    pub try_timeout_ms: u64,
}

/// One host behind the load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// Its name, shown in the status.
    pub name: String,
    /// Its address and port.
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
    /// Makes the default configuration.
    #[must_use]
    pub fn new(port: u16, backends: Vec<Backend>) -> Self {
        Self { port, backends, ..Self::default() }
    }

    pub(super) fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms.max(10))
    }
}

/// Entry point: `--config FILE.json [--haproxy PATH]`.
pub(crate) fn main(words: &[String]) -> ExitCode {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let read = |path: &str| {
        let json = std::fs::read(path).map_err(|e| format!("failed to read {path}: {e}"))?;
        serde_json::from_slice::<EdgeConfig>(&json).map_err(|e| format!("{path}: {e}"))
    };
    match words[..] {
        ["--config", path] => http::run("edge", async { proxy::run(read(path)?).await }),
        ["--config", path, "--haproxy", program] => {
            let failed = read(path).and_then(|config| haproxy::become_it(Path::new(program), &config));
            eprintln!("edge: {}", failed.err().unwrap_or_default());
            ExitCode::FAILURE
        }
        _ => {
            eprintln!("edge: say --config FILE, and --haproxy PATH where it is to be used");
            ExitCode::from(2)
        }
    }
}
