//! `/etc/firedrill/agent.toml`: the agent's name, address, trust and policy.
//!
//! Unknown keys are errors. The file has no secrets, only their paths.

mod last_good;
mod live;
mod log_dirs;
mod rules;
mod usable;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use firedrill_wire::{DEFAULT_PORT, Span};
use serde::Deserialize;

use crate::{
    heal::Retry,
    host::{Firewall, Host, Paths},
    policy::Policy,
    secrets::Secrets,
};

pub use self::{
    last_good::LastGood,
    live::Live,
    rules::Rules,
    usable::{Trouble, Usable},
};

/// The default path of the file.
pub const DEFAULT_FILE: &str = "/etc/firedrill/agent.toml";

/// The reason why a configuration file is unusable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It could not be read.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// It is not valid TOML, or has an unknown key.
    #[error("{}: {source}", file.display())]
    Parse {
        /// The file.
        file: PathBuf,
        /// The place and the reason.
        source: Box<toml::de::Error>,
    },
    /// A value is invalid.
    #[error("{}: {what}", file.display())]
    Value {
        /// The file.
        file: PathBuf,
        /// The value, the reason, and the valid range.
        what: String,
    },
}

impl ConfigError {
    /// Returns the error and its place in one line.
    #[must_use]
    pub fn one_line(&self) -> String {
        let text = self.to_string();
        // The first line has the place and the last one the reason. The lines between them quote the file.
        let (first, last) = (text.lines().next(), text.lines().rfind(|line| !line.is_empty()));
        match (self, first, last) {
            (Self::Parse { .. }, Some(first), Some(last)) if first != last => format!("{first}: {last}"),
            _ => text,
        }
    }

    /// Returns the next step for the user.
    #[must_use]
    pub fn hint(&self) -> String {
        let (Self::Read { file, .. } | Self::Parse { file, .. } | Self::Value { file, .. }) = self;
        format!("repair the file until `firedrill-agent check-config {}` accepts it", file.display())
    }
}

/// An agent's configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The host's name, as in the fleet and the certificate; empty means the kernel's host name.
    pub host: String,
    /// The environment to which the host belongs, such as `prod`; `None` if the file names none. Neither a scenario nor a
    /// certificate overrides it.
    pub environment: Option<String>,
    /// The address of the control API, on which the agent listens.
    pub listen: SocketAddr,
    /// The agent's certificate chain, PEM.
    pub cert: PathBuf,
    /// The key of the agent's certificate, PEM.
    pub key: PathBuf,
    /// The authority that signs the certificates of operators and agents, PEM.
    pub ca: PathBuf,
    /// Revoked certificates, PEM; by default `crl.pem` beside the authority, once it exists.
    pub crl: Option<PathBuf>,
    /// Ports of sshd, which are never blocked; by default those of sshd's configuration, else 22.
    pub ssh_ports: Vec<u16>,
    /// The firewall that holds the rules of faults on traffic.
    pub firewall: Firewall,
    /// The directories of the agent, and of runit's services.
    pub paths: Places,
    /// Time limits of the agent.
    pub timings: Timings,
    /// Metrics; off by default.
    pub metrics: Option<MetricsAt>,
    /// The host's policy. Without one every operator may use every kind that runs no program and changes no file, for
    /// at most an hour.
    pub policy: Policy,
    /// The files and variables that probes may read on this host.
    pub secrets: Secrets,
    /// The file from which this was read, for messages.
    #[serde(skip)]
    pub file: PathBuf,
    /// The text of that file, to detect changes.
    #[serde(skip)]
    pub text: String,
}

/// The directories of the agent, and of runit's services.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Places {
    /// The directory of the journal, the lock and the audit files. It must survive a reboot.
    pub state: PathBuf,
    /// The directory of the local socket, and of files that list what is in force. A reboot must empty it.
    pub run: PathBuf,
    /// The directories that have runit's service directories in them.
    pub runit: Vec<PathBuf>,
}

impl Default for Places {
    fn default() -> Self {
        let Paths { state, run, runit } = Paths::default();
        Self { state, run, runit }
    }
}

/// Time limits of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timings {
    /// Maximum delay of a start. An injection that would start later does not start.
    pub start_tolerance: Span,
    /// The interval at which evidence is collected.
    pub look_every: Span,
    /// A process of the agent without a heartbeat for this long is killed, and its faults are undone.
    pub stale_after: Span,
    /// The time from a deadline that the worker missed until the guardian acts instead.
    pub grace: Span,
    /// Maximum number of tries of an undo that fail at once. Tries that wait for something are limited only by the budget.
    pub undo_tries: u32,
    /// The pause after the first try of an undo; each pause is twice the one before.
    pub undo_pause: Span,
    /// The longest pause between two tries of an undo.
    pub undo_pause_most: Span,
    /// Maximum time of an undo, with all tries and pauses. After that, the guardian takes over the undo.
    pub undo_budget: Span,
}

impl Default for Timings {
    fn default() -> Self {
        let Retry { tries, first, most, within } = Retry::default();
        Self {
            start_tolerance: Span::millis(250),
            look_every: Span::secs(1),
            stale_after: Span::secs(2),
            grace: Span::secs(1),
            undo_tries: tries,
            undo_pause: first.into(),
            undo_pause_most: most.into(),
            undo_budget: within.into(),
        }
    }
}

impl Timings {
    /// Returns the limits of an undo's tries.
    #[must_use]
    pub fn retry(&self) -> Retry {
        Retry {
            tries: self.undo_tries.max(1),
            first: self.undo_pause.into(),
            most: self.undo_pause_most.into(),
            within: self.undo_budget.into(),
        }
    }
}

/// The address of the metrics. Metrics are not encrypted, so only an address on this host is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum MetricsAt {
    /// A loopback address and port.
    Listen(SocketAddr),
    /// A Unix socket.
    Socket(PathBuf),
}

impl Default for Config {
    fn default() -> Self {
        let etc = Path::new("/etc/firedrill");
        Self {
            host: String::new(),
            environment: None,
            // All addresses of the host, IPv6 and IPv4.
            listen: SocketAddr::from(([0; 16], DEFAULT_PORT)),
            cert: etc.join("agent.pem"),
            key: etc.join("agent.key"),
            ca: etc.join("ca.pem"),
            crl: None,
            ssh_ports: Vec::new(),
            firewall: Firewall::default(),
            paths: Places::default(),
            timings: Timings::default(),
            metrics: None,
            policy: Policy::default(),
            secrets: Secrets::default(),
            file: DEFAULT_FILE.into(),
            text: String::new(),
        }
    }
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// The file cannot be read, is no valid TOML, or has an unknown key or an invalid value.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file)
            .map_err(|source| ConfigError::Read { file: file.to_owned(), source })?;
        Self::parse(&text, file)
    }

    /// Parses the text of a file. The path is only used in messages.
    ///
    /// # Errors
    /// The text is no valid TOML, or has an unknown key or an invalid value.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text)
            .map_err(|source| ConfigError::Parse { file: file.to_owned(), source: Box::new(source) })?;
        file.clone_into(&mut config.file);
        text.clone_into(&mut config.text);
        if config.host.is_empty() {
            config.host = nix::unistd::gethostname()
                .map_or_else(|_| "unnamed".to_owned(), |name| name.to_string_lossy().into_owned());
        }
        if config.ssh_ports.is_empty() {
            config.ssh_ports = sshd_ports();
        }
        config.validate()?;
        Ok(config)
    }

    /// Checks all values.
    ///
    /// # Errors
    /// The first invalid value.
    fn validate(&self) -> Result<(), ConfigError> {
        let wrong = |what: String| Err(ConfigError::Value { file: self.file.clone(), what });
        if let Some(MetricsAt::Listen(address)) = &self.metrics
            && !address.ip().is_loopback()
        {
            return wrong(format!(
                "metrics.listen = \"{address}\" would show the metrics to other hosts without encryption; use a loopback address or metrics.socket"
            ));
        }
        let times = &self.timings;
        if times.stale_after.0 < Duration::from_millis(500) {
            return wrong(format!(
                "timings.stale_after = \"{}\" is too short; 500ms at least",
                times.stale_after
            ));
        }
        if times.look_every.0 < Duration::from_millis(10) {
            return wrong(format!(
                "timings.look_every = \"{}\" is too short; 10ms at least",
                times.look_every
            ));
        }
        let retries = times.retry().all_pauses();
        if times.undo_budget.0 <= retries {
            return wrong(format!(
                "timings.undo_budget = \"{}\" is not longer than all pauses between retries together ({})",
                times.undo_budget,
                Span::from(retries)
            ));
        }
        Rules::of(self).validate().map_err(|what| ConfigError::Value { file: self.file.clone(), what })
    }

    /// Returns the directories.
    #[must_use]
    pub fn paths(&self) -> Paths {
        let Places { state, run, runit } = self.paths.clone();
        Paths { state, run, runit }
    }

    /// Returns the ports to this host, with the paths and ports of this configuration. Call it after any fork, in the process
    /// that uses them.
    #[must_use]
    pub fn host(&self) -> Host {
        let host = Host::new(self.host.clone(), self.paths(), self.listen.port(), self.ssh_ports.clone());
        Host { firewall: self.firewall, ..host }
    }
}

/// Returns the ports in sshd's configuration; 22 if it has none.
fn sshd_ports() -> Vec<u16> {
    let mut files = vec![PathBuf::from("/etc/ssh/sshd_config")];
    if let Ok(dir) = std::fs::read_dir("/etc/ssh/sshd_config.d") {
        files.extend(
            dir.flatten()
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "conf")),
        );
    }
    let mut ports: Vec<u16> = files
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .flat_map(|text| ports_in(&text))
        .collect();
    if ports.is_empty() {
        ports.push(22);
    }
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// Returns the ports in the `Port` and `ListenAddress` lines of a configuration of sshd.
fn ports_in(sshd_config: &str) -> Vec<u16> {
    sshd_config
        .lines()
        .filter_map(|line| {
            let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
            let (key, value) = (words.next()?, words.next()?);
            if key.eq_ignore_ascii_case("port") {
                value.parse().ok()
            } else if key.eq_ignore_ascii_case("listenaddress") {
                value.parse::<SocketAddr>().ok().map(|address| address.port())
            } else {
                None
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
