//! `net-reset`: live TCP connections are reset. They are selected like traffic, but always in both directions.

use serde::{Deserialize, Serialize};

use super::{
    About, Direction, Effect, End, Engine, HostMeanwhile, Invalid, Kind, On, OnTraffic, PeerSet, PortRange,
    Protocol, Scope, Traffic, Trial, invalid::chosen,
};
use crate::Touches;

/// Whether connections are reset once or throughout the hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ResetHow {
    /// Connections that are open at the start. Cannot be undone: clients have to connect again.
    #[default]
    Once,
    /// Connections that are open at the start, and all further ones while the fault holds.
    Throughout,
}

/// `net-reset`: reset live TCP connections with some peers, at both ends at once. The control path, SSH, loopback and cloud
/// metadata are never touched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetReset {
    /// The peers: in a scenario a target's name, a host's name, an address, a CIDR (`10.9.0.0/16`), or a name that the
    /// agent looks up. An agent gets addresses, CIDRs and names to look up.
    #[serde(default, skip_serializing_if = "PeerSet::is_empty")]
    #[schemars(with = "super::net::OneOrMany<String>")]
    pub to: PeerSet,
    /// Ports on this host; all if it is left out.
    #[serde(default, deserialize_with = "super::net::one_or_many", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "super::net::OneOrMany<PortRange>")]
    pub local_ports: Vec<PortRange>,
    /// Ports on the peer; all if it is left out.
    #[serde(default, deserialize_with = "super::net::one_or_many", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "super::net::OneOrMany<PortRange>")]
    pub remote_ports: Vec<PortRange>,
    /// A service of the host, as in `service-stop`: only connections of its processes. They are found by the service's cgroup (v2), also
    /// after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Whether connections are reset once or throughout the hold.
    #[serde(default)]
    pub how: ResetHow,
}

impl OnTraffic for NetReset {
    fn traffic(&self) -> Traffic<'_> {
        Traffic {
            to: &self.to,
            local_ports: &self.local_ports,
            remote_ports: &self.remote_ports,
            protocol: Some(Protocol::Tcp),
            service: self.service.as_deref(),
            ..Traffic::all(Direction::Both)
        }
    }
    fn engine(&self) -> Engine {
        Engine::Auto
    }
}

impl Kind for NetReset {
    fn about(&self) -> About<'_> {
        About {
            end: self.end(),
            host: HostMeanwhile::Up,
            scope: Scope::Host,
            ramp: About::RAMP_QUICK,
            effect: Effect { on: On::Connections, done: "reset" },
            late: None,
            trial: Trial::Impossible("resets meet connections that are open already"),
        }
    }

    fn invalid(&self) -> Option<Invalid> {
        chosen(&self.traffic())
    }

    fn touches(&self) -> Touches {
        self.traffic().touches()
    }
}

impl NetReset {
    const fn end(&self) -> End {
        match self.how {
            ResetHow::Once => End::Irreversible("whoever was connected is expected to connect again"),
            ResetHow::Throughout => End::PutBack,
        }
    }
}
