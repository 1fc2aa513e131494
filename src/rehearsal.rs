//! Makes what an agent on a host of a lab needs: a certificate, a configuration, and their paths on the host. Starts no lab.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use firedrill_lab::{AgentSpec, FileSpec, HostSpec};

use crate::{
    pki::{HostAsk, Pki, PkiError, ca_file},
    plan::model::Host,
};

/// The directory of an agent's files.
const ETC: &str = "/etc/firedrill";
/// Validity of the certificates of a lab, in days. A lab is not expected to run longer.
pub const DAYS: u32 = 30;

/// The reason why a host got no agent.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// No certificate could be issued for it.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A file of the authority could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Returns the specification of a lab's host for a host of the fleet, with an agent that trusts the authority. `more` is appended to the
/// agent's configuration.
///
/// # Errors
/// No certificate could be issued, or a certificate could not be read.
pub fn host(pki: &Pki, host: &Host, more: &str) -> Result<HostSpec, RehearsalError> {
    let issued = pki.issue_host(&HostAsk::new(&host.name, DAYS))?;
    // The agent gets the environment that the fleet's label `env` names.
    let environment = host
        .labels
        .get("env")
        .map_or_else(String::new, |name| format!("environment = {}\n", toml::Value::String(name.clone())));
    let config = format!(
        "host = \"{}\"\n{environment}cert = \"{ETC}/host.pem\"\nkey = \"{ETC}/host.key\"\nca = \"{ETC}/ca.pem\"\n\n[paths]\nrunit = [\"/run/service\"]\n{more}",
        host.name
    );
    let copy = |path: PathBuf, name: &str, mode: u32| match fs::read_to_string(&path) {
        Ok(content) => Ok(FileSpec { path: PathBuf::from(ETC).join(name), content, mode }),
        Err(source) => Err(RehearsalError::Read { path, source }),
    };
    let config_path = PathBuf::from(ETC).join("agent.toml");
    Ok(HostSpec {
        name: host.name.clone(),
        addresses: host.addresses.clone(),
        region: host.labels.get("region").cloned().unwrap_or_default(),
        roles: host.roles.clone(),
        services: Vec::new(),
        files: vec![
            FileSpec { path: config_path.clone(), content: config, mode: 0o644 },
            copy(issued.cert, "host.pem", 0o644)?,
            copy(issued.key, "host.key", 0o600)?,
            copy(ca_file(pki.dir()), "ca.pem", 0o644)?,
        ],
        agent: Some(AgentSpec { config_path, env: BTreeMap::default() }),
    })
}
