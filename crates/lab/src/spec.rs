//! The specification of a lab: plain data, made by the coordinator from a fleet file or by [`crate::demo`]. Builds nothing.

mod service;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use service::{ReadyCheck, ReadySpec, ServiceSpec, StopSpec, UserSpec};

use crate::{LabError, argv::agent_argv};

/// The specification of a lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabSpec {
    /// The lab's name, unique among this user's labs. It has letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// The hosts.
    pub hosts: Vec<HostSpec>,
    /// Addresses of the coordinator in the lab.
    #[serde(default = "default_coordinator")]
    pub coordinator: Vec<IpAddr>,
    /// The time for which a host that restarts is down, in milliseconds.
    #[serde(default = "default_boot_delay_ms")]
    pub boot_delay_ms: u64,
}

/// A host of a lab.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostSpec {
    /// The host's name, which every host of the lab can resolve.
    pub name: String,
    /// The host's IPv4 and IPv6 addresses.
    pub addresses: Vec<IpAddr>,
    /// The host's region. Hosts of a region share a bridge; a router connects the bridges.
    #[serde(default)]
    pub region: String,
    /// The host's roles, for display only.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The host's services.
    #[serde(default)]
    pub services: Vec<ServiceSpec>,
    /// Files that are written once, when the lab is built. They survive the host's reboots.
    #[serde(default)]
    pub files: Vec<FileSpec>,
    /// The agent, which runs as the service `firedrill-agent`. `None` for a host without an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentSpec>,
}

/// A file in a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    /// Absolute path, below `/etc` or `/var`.
    pub path: PathBuf,
    /// The file's content.
    pub content: String,
    /// The file's permission bits.
    #[serde(default = "default_mode")]
    pub mode: u32,
}

/// The agent of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentSpec {
    /// The path of the agent's configuration in the host, such as `/etc/firedrill/agent.toml`. The caller provides that file in
    /// [`HostSpec::files`].
    pub config_path: PathBuf,
    /// Environment variables of the agent.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

fn default_coordinator() -> Vec<IpAddr> {
    [IpAddr::from([10, 77, 0, 2]), IpAddr::from([0xfd77, 0, 0, 0, 0, 0, 0, 2])].to_vec()
}

fn default_boot_delay_ms() -> u64 {
    1500
}

fn default_mode() -> u32 {
    0o644
}

impl LabSpec {
    /// Makes a specification with the default addresses of the coordinator (10.77.0.2 and fd77::2) and the default boot time (1.5 s).
    #[must_use]
    pub fn new(name: impl Into<String>, hosts: Vec<HostSpec>) -> Self {
        Self {
            name: name.into(),
            hosts,
            coordinator: default_coordinator(),
            boot_delay_ms: default_boot_delay_ms(),
        }
    }

    /// Returns the regions in order of first use.
    #[must_use]
    pub fn regions(&self) -> Vec<&str> {
        let mut seen = Vec::new();
        for host in &self.hosts {
            if !seen.contains(&host.region.as_str()) {
                seen.push(host.region.as_str());
            }
        }
        seen
    }

    /// Returns the content of `/etc/hosts`, which is the same in every host.
    #[must_use]
    pub fn hosts_file(&self) -> String {
        let mut text = String::from("127.0.0.1 localhost\n::1 localhost ip6-localhost\n");
        let coordinator = self.coordinator.iter().map(|a| (a, "coordinator"));
        let hosts = self.hosts.iter().flat_map(|h| h.addresses.iter().map(|a| (a, h.name.as_str())));
        for (address, name) in coordinator.chain(hosts) {
            text.push_str(&format!("{address} {name}\n"));
        }
        text
    }

    /// Checks everything that can be checked before the lab is built.
    ///
    /// # Errors
    /// The specification is invalid; the error names all problems.
    pub fn validate(&self) -> Result<(), LabError> {
        let mut wrong = Vec::new();
        if !is_name(&self.name) {
            wrong.push(format!("lab name {:?}: use letters, digits, '-', '_' and '.'", self.name));
        }
        let mut names = BTreeSet::from(["coordinator", "localhost"]);
        let mut addresses: BTreeMap<IpAddr, &str> =
            self.coordinator.iter().map(|a| (*a, "coordinator")).collect();
        for host in &self.hosts {
            if !is_name(&host.name) || host.name.len() > 63 {
                wrong.push(format!(
                    "host name {:?}: use at most 63 letters, digits, '-', '_' and '.'",
                    host.name
                ));
            }
            if !names.insert(&host.name) {
                wrong.push(format!("host name {:?} is taken", host.name));
            }
            if host.addresses.is_empty() {
                wrong.push(format!("host {}: no address", host.name));
            }
            for address in &host.addresses {
                if address.is_loopback() || address.is_multicast() || address.is_unspecified() {
                    wrong.push(format!("host {}: {address} cannot be a host's address", host.name));
                }
                if let Some(other) = addresses.insert(*address, &host.name) {
                    wrong.push(format!("host {}: {address} belongs to {other} already", host.name));
                }
            }
            host.validate(&mut wrong);
        }
        if wrong.is_empty() { Ok(()) } else { Err(LabError::Spec(wrong.join("; "))) }
    }
}

impl HostSpec {
    /// Returns all services of the host, including the agent.
    #[must_use]
    pub fn all_services(&self) -> Vec<ServiceSpec> {
        let agent = self.agent.iter().map(|agent| ServiceSpec {
            name: "firedrill-agent".into(),
            argv: agent_argv(&agent.config_path),
            env: agent.env.clone(),
            ..ServiceSpec::default()
        });
        self.services.iter().cloned().chain(agent).collect()
    }

    /// Adds the problems of the host's services and files to `wrong`.
    fn validate(&self, wrong: &mut Vec<String>) {
        let mut names = BTreeSet::new();
        for service in self.all_services() {
            if !is_name(&service.name) {
                wrong.push(format!(
                    "host {}: service name {:?} cannot be a directory",
                    self.name, service.name
                ));
            }
            for problem in service.problems() {
                wrong.push(format!("host {}: service {} {problem}", self.name, service.name));
            }
            if !names.insert(service.name.clone()) {
                wrong.push(format!("host {}: two services named {}", self.name, service.name));
            }
        }
        for file in &self.files {
            if upper_path(&file.path).is_none() {
                wrong.push(format!(
                    "host {}: file {}: only absolute paths below /etc or /var, without '..'",
                    self.name,
                    file.path.display()
                ));
            }
        }
    }
}

/// Splits a path in a host into its top directory (`etc` or `var`) and the path below that. `None` if the path is not a plain absolute
/// path below one of them.
pub(crate) fn upper_path(path: &Path) -> Option<(&'static str, &Path)> {
    let plain = path.components().skip(1).all(|c| matches!(c, Component::Normal(_)));
    let inside = |top: &str| path.strip_prefix(top).ok().filter(|p| p.file_name().is_some());
    if !plain {
        return None;
    }
    inside("/etc").map(|p| ("etc", p)).or_else(|| inside("/var").map(|p| ("var", p)))
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && !name.starts_with(['.', '-'])
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, address: &str) -> HostSpec {
        HostSpec { name: name.into(), addresses: vec![address.parse().unwrap()], ..HostSpec::default() }
    }

    #[test]
    fn the_error_names_all_problems() {
        let mut spec =
            LabSpec::new("a/b", vec![host("x", "10.0.0.1"), host("x", "10.0.0.1"), host("y", "127.0.0.1")]);
        spec.hosts[0].files.push(FileSpec {
            path: "/etc/../root/x".into(),
            content: String::new(),
            mode: 0o600,
        });
        spec.hosts[1].services.push(ServiceSpec { name: "s".into(), ..ServiceSpec::default() });
        let error = spec.validate().unwrap_err().to_string();
        for part in ["a/b", "\"x\" is taken", "belongs to x", "127.0.0.1", "/etc/../root/x", "nothing to run"]
        {
            assert!(error.contains(part), "{part} missing in: {error}");
        }
    }

    #[test]
    fn each_problem_of_a_service_is_named() {
        let mut spec = LabSpec::new("lab", vec![host("x", "10.0.0.1")]);
        let argv = vec!["sleep".to_owned(), "1h".to_owned()];
        let good = ServiceSpec { name: "s".into(), argv, ..ServiceSpec::default() };
        spec.hosts[0].services = vec![good.clone()];
        spec.validate().unwrap();
        let ready = |check, within_ms| Some(ReadySpec { check, within_ms });
        let stop = StopSpec { signal: "SIGNAL".into(), patience_ms: None };
        for (service, problem) in [
            (ServiceSpec { user: Some(UserSpec { uid: 0, gid: 5 }), ..good.clone() }, "cannot run as 0:5"),
            (
                ServiceSpec { ready: ready(ReadyCheck::Command(vec![]), 1), ..good.clone() },
                "without a command",
            ),
            (ServiceSpec { ready: ready(ReadyCheck::Tcp(0), 1), ..good.clone() }, "of port 0"),
            (ServiceSpec { ready: ready(ReadyCheck::Tcp(1), 0), ..good.clone() }, "no time to get ready"),
            (ServiceSpec { stop, ..good }, "SIGNAL, which is no signal"),
        ] {
            spec.hosts[0].services = vec![service];
            let error = spec.validate().unwrap_err().to_string();
            assert!(error.contains("host x: service s ") && error.contains(problem), "{problem}: {error}");
        }
    }

    #[test]
    fn files_go_below_etc_and_var_only() {
        assert_eq!(upper_path(Path::new("/etc/a/b")), Some(("etc", Path::new("a/b"))));
        assert_eq!(upper_path(Path::new("/var/lib/x")), Some(("var", Path::new("lib/x"))));
        for bad in ["/etc", "/", "etc/a", "/usr/x", "/etc/../x", "/etcetera/x"] {
            assert_eq!(upper_path(Path::new(bad)), None, "{bad}");
        }
    }

    #[test]
    fn names_of_all_hosts_are_in_the_hosts_file() {
        let text = LabSpec::new("l", vec![host("app1", "10.77.1.11")]).hosts_file();
        assert!(text.contains("10.77.1.11 app1\n") && text.contains("10.77.0.2 coordinator\n"), "{text}");
    }
}
