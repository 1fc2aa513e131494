//! The format of a fleet: a file, or a command's output.

use std::{collections::BTreeMap, net::IpAddr, num::NonZeroU16};

use schemars::JsonSchema;
use serde::Deserialize;

use super::service::ServiceFile;
use crate::diagnostic::Values;

/// The hosts: their names and addresses, their labels, and the connections to their agents.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FleetFile {
    /// The version of the format: 1.
    #[serde(default = "FleetFile::one")]
    #[schemars(range(min = 1, max = 1))]
    pub schema: u32,
    /// Approvals by passkey.
    #[serde(default)]
    pub approval: ApprovalFile,
    /// Values for hosts that do not have the key themselves.
    #[serde(default)]
    pub defaults: Defaults,
    /// Further names that probes and faults may use, with their addresses.
    #[serde(default)]
    pub names: BTreeMap<String, Addresses>,
    /// The hosts.
    #[serde(default)]
    pub host: Vec<HostFile>,
}

impl FleetFile {
    const fn one() -> u32 {
        1
    }
}

/// Approvals by passkey.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalFile {
    /// The origins of the control rooms in which people may approve by passkey, such as `https://drills.example`. Without
    /// any, no approval by passkey counts. Hosts name them in their own policy.
    #[serde(default)]
    pub origins: Vec<String>,
}

/// Values for hosts that do not have the key themselves.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// The provider, such as `aws`.
    #[serde(default)]
    pub provider: Option<String>,
    /// The region.
    #[serde(default)]
    pub region: Option<String>,
    /// The zone.
    #[serde(default)]
    pub zone: Option<String>,
    /// The environment, such as `prod`.
    #[serde(default)]
    pub env: Option<String>,
    /// Roles, for hosts that name none.
    #[serde(default)]
    pub roles: Values,
    /// Tags; a host's own are added to them.
    #[serde(default)]
    pub tags: Values,
    /// Labels; a host's own are added to them.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The agents' port.
    #[serde(default)]
    #[schemars(extend("default" = firedrill_wire::DEFAULT_PORT))]
    pub agent_port: Option<u16>,
    /// A program whose standard streams are the link, as an argument vector; `%h` becomes the host's address, `%p` the
    /// agent's port, `%n` the host's name. Default: a direct connection.
    #[serde(default)]
    pub connect: Vec<String>,
    /// Maximum number of links that are opened at a time through that program. A bastion's sshd drops new connections
    /// at random beyond its `MaxStartups`.
    #[serde(default)]
    #[schemars(extend("default" = crate::plan::model::Way::AT_ONCE))]
    pub connect_at_once: Option<NonZeroU16>,
}

/// A host.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostFile {
    /// Its name, unique in the fleet; also the name in its agent's certificate.
    pub name: String,
    /// Its address, as peers see it.
    #[serde(default)]
    pub address: Option<IpAddr>,
    /// Its addresses; names resolve to the first one first.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// The provider, such as `aws`; default: that of `[defaults]`.
    #[serde(default)]
    pub provider: Option<String>,
    /// The region; default: that of `[defaults]`.
    #[serde(default)]
    pub region: Option<String>,
    /// The zone; default: that of `[defaults]`.
    #[serde(default)]
    pub zone: Option<String>,
    /// The environment, such as `prod`; default: that of `[defaults]`.
    #[serde(default)]
    pub env: Option<String>,
    /// Its roles; default: those of `[defaults]`.
    #[serde(default)]
    pub roles: Option<Values>,
    /// Its tags, added to those of `[defaults]`.
    #[serde(default)]
    pub tags: Values,
    /// Any other labels, added to those of `[defaults]`. A label here replaces the same one there.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The agent's address as `host:port`; default: its first address, and the `agent_port` of `[defaults]` or 7790.
    #[serde(default)]
    pub agent: Option<String>,
    /// A program whose standard streams are the link, as an argument vector; `%h` becomes the host's address, `%p` the
    /// agent's port, `%n` the host's name. Default: that of `[defaults]`, or a direct connection.
    #[serde(default)]
    pub connect: Option<Vec<String>>,
    /// Maximum number of links that are opened at a time through that program. A bastion's sshd drops new connections
    /// at random beyond its `MaxStartups`. Default: that of `[defaults]`, or 8.
    #[serde(default)]
    pub connect_at_once: Option<NonZeroU16>,
    /// The programs that a lab runs on the host.
    #[serde(default)]
    pub service: Vec<ServiceFile>,
}

/// One address, or a list of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "Values")]
#[schemars(with = "Values")]
pub struct Addresses(pub Vec<IpAddr>);

impl TryFrom<Values> for Addresses {
    type Error = String;
    fn try_from(values: Values) -> Result<Self, String> {
        let parse = |text: &String| text.parse().map_err(|_| format!("`{text}` is not an address"));
        values.0.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }
}
