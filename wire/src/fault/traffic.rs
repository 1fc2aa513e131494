//! Which traffic a fault is about: the same five clauses in every kind, written once.

use super::{Fault, PortRange, Protocol, net::Direction};

/// Which traffic, borrowed from a kind's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic<'a> {
    /// The peers; none means all.
    pub to: &'a [String],
    /// Ports on this host; none means all.
    pub local_ports: &'a [PortRange],
    /// Ports on the peer; none means all.
    pub remote_ports: &'a [PortRange],
    /// The protocol; none means all, or TCP and UDP where ports are given.
    pub protocol: Option<Protocol>,
    /// Which way.
    pub direction: Direction,
}

/// A kind whose parameters say which traffic.
pub trait OnTraffic {
    /// Which.
    fn traffic(&self) -> Traffic<'_>;
    /// The peers, for who knows more exactly what they are.
    fn peers_mut(&mut self) -> &mut Vec<String>;
}

impl Fault {
    /// As a kind that is about some traffic; `None` for all other kinds.
    #[must_use]
    pub fn on_traffic(&self) -> Option<&dyn OnTraffic> {
        match self {
            Self::NetBlock(kind) => Some(kind),
            Self::NetSlow(kind) => Some(kind),
            Self::NetLose(kind) => Some(kind),
            Self::NetDuplicate(kind) => Some(kind),
            Self::NetCorrupt(kind) => Some(kind),
            Self::NetReorder(kind) => Some(kind),
            Self::NetThrottle(kind) => Some(kind),
            Self::NetReset(kind) => Some(kind),
            Self::ServiceStop(_)
            | Self::ServiceKill(_)
            | Self::ServiceRestart(_)
            | Self::ProcessKill(_)
            | Self::ProcessPause(_)
            | Self::NetPartition(_)
            | Self::NetDown(_)
            | Self::HostIsolate(_)
            | Self::HostReboot(_)
            | Self::HostPoweroff(_)
            | Self::RegionKill(_) => None,
        }
    }

    /// The list of peers in its parameters, whatever they mean to the kind; `None` where it has none.
    pub fn peers_mut(&mut self) -> Option<&mut Vec<String>> {
        match self {
            Self::NetBlock(kind) => Some(kind.peers_mut()),
            Self::NetSlow(kind) => Some(kind.peers_mut()),
            Self::NetLose(kind) => Some(kind.peers_mut()),
            Self::NetDuplicate(kind) => Some(kind.peers_mut()),
            Self::NetCorrupt(kind) => Some(kind.peers_mut()),
            Self::NetReorder(kind) => Some(kind.peers_mut()),
            Self::NetThrottle(kind) => Some(kind.peers_mut()),
            Self::NetReset(kind) => Some(kind.peers_mut()),
            Self::NetDown(kind) => Some(&mut kind.to),
            Self::HostIsolate(kind) => Some(&mut kind.except),
            Self::ServiceStop(_)
            | Self::ServiceKill(_)
            | Self::ServiceRestart(_)
            | Self::ProcessKill(_)
            | Self::ProcessPause(_)
            | Self::NetPartition(_)
            | Self::HostReboot(_)
            | Self::HostPoweroff(_)
            | Self::RegionKill(_) => None,
        }
    }
}

/// A kind with the clauses of [`Traffic`] and parameters of its own. The clauses stand in the kind's own table, so
/// that an error in one of them points at the exact spot, which flattening would lose.
macro_rules! on_traffic {
    (
        $(#[$about:meta])*
        $name:ident, $direction:tt => $way:expr;
        $($(#[$own_meta:meta])* $own:ident: $type:ty,)*
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The peers: in a scenario a target's name, a host's name, an address, a CIDR (`10.9.0.0/16`), or a name that the
            /// agent looks up. An agent gets addresses, CIDRs and names to look up.
            #[serde(
                default,
                deserialize_with = "crate::fault::net::one_or_many",
                skip_serializing_if = "Vec::is_empty"
            )]
            #[cfg_attr(feature = "schema", schemars(with = "crate::fault::net::OneOrMany<String>"))]
            pub to: Vec<String>,
            /// Ports on this host; none means all.
            #[serde(
                default,
                deserialize_with = "crate::fault::net::one_or_many",
                skip_serializing_if = "Vec::is_empty"
            )]
            #[cfg_attr(feature = "schema", schemars(with = "crate::fault::net::OneOrMany<crate::fault::PortRange>"))]
            pub local_ports: Vec<crate::fault::PortRange>,
            /// Ports on the peer; none means all.
            #[serde(
                default,
                deserialize_with = "crate::fault::net::one_or_many",
                skip_serializing_if = "Vec::is_empty"
            )]
            #[cfg_attr(feature = "schema", schemars(with = "crate::fault::net::OneOrMany<crate::fault::PortRange>"))]
            pub remote_ports: Vec<crate::fault::PortRange>,
            /// The protocol; none means all. Ports without a protocol mean both TCP and UDP.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub protocol: Option<crate::fault::Protocol>,
            /// Which way.
            #[serde(default = $direction)]
            pub direction: crate::fault::Direction,
            $($(#[$own_meta])* pub $own: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    to: Vec::new(),
                    local_ports: Vec::new(),
                    remote_ports: Vec::new(),
                    protocol: None,
                    direction: $way,
                    $($own: Default::default(),)*
                }
            }
        }

        impl crate::fault::OnTraffic for $name {
            fn traffic(&self) -> crate::fault::Traffic<'_> {
                crate::fault::Traffic {
                    to: &self.to,
                    local_ports: &self.local_ports,
                    remote_ports: &self.remote_ports,
                    protocol: self.protocol,
                    direction: self.direction,
                }
            }
            fn peers_mut(&mut self) -> &mut Vec<String> {
                &mut self.to
            }
        }
    };
}
pub(super) use on_traffic;
