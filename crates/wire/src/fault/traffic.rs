//! The clauses that select the traffic of a fault, which are the same for all kinds.

use std::sync::LazyLock;

use super::{
    Engine, PeerSet, PortRange, Protocol,
    net::{Connections, Direction},
};
use crate::{Share, Touches};

/// The selected traffic, borrowed from a kind's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic<'a> {
    /// The peers; none means all.
    pub to: &'a PeerSet,
    /// Ports on this host; none means all.
    pub local_ports: &'a [PortRange],
    /// Ports on the peer; none means all.
    pub remote_ports: &'a [PortRange],
    /// The protocol; `None` means all, or TCP and UDP if ports are given.
    pub protocol: Option<Protocol>,
    /// The direction.
    pub direction: Direction,
    /// Peers that are left out.
    pub except: &'a PeerSet,
    /// Interfaces that packets come or go by; none means all.
    pub interfaces: &'a [String],
    /// A user of the host: only packets that this user's programs send; none means all users.
    pub user: Option<&'a str>,
    /// A service of the host: only packets that its processes send or receive; none means all processes.
    pub service: Option<&'a str>,
    /// The share of the flows that is selected, each with all its packets; `None` means all.
    pub flows: Option<Share>,
    /// The packets of connections that are selected; `None` means all.
    pub connections: Option<Connections>,
}

impl<'a> Traffic<'a> {
    /// Returns all traffic in one direction, or in both.
    #[must_use]
    pub fn all(direction: Direction) -> Self {
        Self {
            to: nobody(),
            local_ports: &[],
            remote_ports: &[],
            protocol: None,
            direction,
            except: nobody(),
            interfaces: &[],
            user: None,
            service: None,
            flows: None,
            connections: None,
        }
    }

    /// Returns the objects that a fault on this traffic touches: its peers, as all other clauses only narrow the traffic with them.
    #[must_use]
    pub fn touches(&self) -> Touches {
        let Self {
            to,
            local_ports: _,
            remote_ports: _,
            protocol: _,
            direction: _,
            except: _,
            interfaces: _,
            user: _,
            service: _,
            flows: _,
            connections: _,
        } = self;
        Touches::peers((*to).clone())
    }

    /// Returns how often a fault on this traffic applies to a round trip.
    #[must_use]
    pub fn ways(&self) -> u64 {
        if self.direction == Direction::Both { 2 } else { 1 }
    }
}

/// Returns an empty list of peers.
fn nobody() -> &'static PeerSet {
    static NOBODY: LazyLock<PeerSet> = LazyLock::new(PeerSet::default);
    &NOBODY
}

/// A kind whose parameters select traffic.
pub trait OnTraffic {
    /// Returns the traffic.
    fn traffic(&self) -> Traffic<'_>;
    /// Returns the wanted engine; `auto` for kinds that have only one.
    fn engine(&self) -> Engine;
}

/// Defines a kind with the clauses of [`Traffic`] and its other parameters. The clauses are fields of the kind and not flattened, so that
/// errors have an exact place in the file.
///
/// The kind's name is followed by the default of `direction`, as the path of a function for serde and as a value, and by the function that
/// returns the clause `connections`.
macro_rules! on_traffic {
    (
        $(#[$about:meta])*
        $name:ident, $direction:tt => $way:expr, $connections:expr;
        $($(#[$own_meta:meta])* $own:ident: $type:ty,)*
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[derive(schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The peers: in a scenario a target's name, a host's name, an address, a CIDR (`10.9.0.0/16`), or a name that the
            /// agent looks up. An agent gets addresses, CIDRs and names to look up.
            #[serde(default, skip_serializing_if = "crate::fault::PeerSet::is_empty")]
            #[schemars(with = "crate::fault::net::OneOrMany<String>")]
            pub to: crate::fault::PeerSet,
            /// Ports on this host; all if it is left out.
            #[serde(
                default,
                deserialize_with = "crate::fault::net::one_or_many",
                skip_serializing_if = "Vec::is_empty"
            )]
            #[schemars(with = "crate::fault::net::OneOrMany<crate::fault::PortRange>")]
            pub local_ports: Vec<crate::fault::PortRange>,
            /// Ports on the peer; all if it is left out.
            #[serde(
                default,
                deserialize_with = "crate::fault::net::one_or_many",
                skip_serializing_if = "Vec::is_empty"
            )]
            #[schemars(with = "crate::fault::net::OneOrMany<crate::fault::PortRange>")]
            pub remote_ports: Vec<crate::fault::PortRange>,
            /// The protocol; all if it is left out. Ports without a protocol mean both TCP and UDP.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub protocol: Option<crate::fault::Protocol>,
            /// The direction of the packets, seen from this host.
            #[serde(default = $direction)]
            pub direction: crate::fault::Direction,
            /// Peers that are left out of those that `to` and the ports select; as in `to`.
            #[serde(default, skip_serializing_if = "crate::fault::PeerSet::is_empty")]
            #[schemars(with = "crate::fault::net::OneOrMany<String>")]
            pub except: crate::fault::PeerSet,
            /// Interfaces by which packets come or go; all if it is left out.
            #[serde(
                default,
                deserialize_with = "crate::fault::net::one_or_many",
                skip_serializing_if = "Vec::is_empty"
            )]
            #[schemars(with = "crate::fault::net::OneOrMany<String>")]
            pub interfaces: Vec<String>,
            /// A user of the host (a name or a number): only packets that this user's programs send.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub user: Option<String>,
            /// A service of the host, as in `service-stop`: only packets that its processes send and receive. They are found by the service's
            /// cgroup (v2), also after a restart.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub service: Option<String>,
            /// Only this share of the flows, each with all its packets. The selection changes with each boot.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub flows: Option<crate::Share>,
            $($(#[$own_meta])* pub $own: $type,)*
            /// The engine that carries out the fault; `auto` takes the first one that can do all that is asked on the host.
            #[serde(default, skip_serializing_if = "crate::fault::Engine::is_auto")]
            pub engine: crate::fault::Engine,
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    to: crate::fault::PeerSet::default(),
                    local_ports: Vec::new(),
                    remote_ports: Vec::new(),
                    protocol: None,
                    direction: $way,
                    except: crate::fault::PeerSet::default(),
                    interfaces: Vec::new(),
                    user: None,
                    service: None,
                    flows: None,
                    $($own: Default::default(),)*
                    engine: crate::fault::Engine::Auto,
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
                    except: &self.except,
                    interfaces: &self.interfaces,
                    user: self.user.as_deref(),
                    service: self.service.as_deref(),
                    flows: self.flows,
                    connections: $connections(self),
                }
            }
            fn engine(&self) -> crate::fault::Engine {
                self.engine
            }
        }
    };
}
pub(super) use on_traffic;
