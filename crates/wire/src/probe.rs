//! Probes and their measurements. A kind is described beside its parameters ([`Kind`]); one list ([`probe_kinds!`](crate::probe_kinds))
//! makes everything that goes over all kinds.

mod address;
mod bins;
mod dns;
mod exec;
mod grpc_health;
mod http;
mod icmp;
mod kind;
mod mysql;
mod number;
mod postgres;
mod redis;
mod refused;
mod secret;
mod secure;
mod store;
mod tcp;
mod tls;
mod writes;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::{Deserialize, Serialize};

pub use address::given;
pub use bins::{Bin, Requests};
pub use dns::{DnsMatch, DnsParsed, DnsProbe, DnsRecord, DnsTransport, Rcode};
pub use exec::{ExecProbe, ExitCodes};
pub use grpc_health::GrpcHealthProbe;
pub use http::{
    HttpProbe, JsonBound, JsonEquals, Parsed as HttpRequest, Status, Statuses, Target as HttpTarget,
};
pub use icmp::IcmpProbe;
pub use kind::{About, Connections, Form, Hides, Kind, Reach, Read, Shows, Source};
pub use mysql::{MysqlProbe, MysqlRole};
pub use number::{Bounded, NumberBound};
pub use postgres::{PostgresProbe, PostgresRole};
pub use redis::{RedisProbe, RedisRole, RedisSentinels};
pub use refused::{Field, Refusal, note};
pub use secret::Secret;
pub use store::{Addresses, StoreServer};
pub use tcp::{TcpParsed, TcpProbe, Wants};
pub use tls::TlsProbe;
pub use writes::{EtcdStore, HttpStore, PostgresStore, RedisStore, WritesProbe};

use crate::{Span, Touches};

/// The list of the kinds of probes, given to a macro.
///
/// An entry is the kind's doc comment, its variant, the type of its parameters, and its key in a scenario: as a name of Rust and as it
/// stands in files. Everything else is in the kind's descriptor ([`Kind`], [`Form`]).
#[macro_export]
macro_rules! probe_kinds {
    ($then:ident) => {
        $then! {
            /// An HTTP or HTTPS request.
            Http(HttpProbe): http, "http";
            /// A TCP connection that opens, and an answer if one is wanted.
            Tcp(TcpProbe): tcp, "tcp";
            /// A TLS handshake, and the time for which the server's certificate is still good.
            Tls(TlsProbe): tls, "tls";
            /// A question to a name server.
            Dns(DnsProbe): dns, "dns";
            /// An ICMP echo request, as `ping` sends it.
            Icmp(IcmpProbe): icmp, "icmp";
            /// The health check that gRPC servers have in common.
            GrpcHealth(GrpcHealthProbe): grpc_health, "grpc-health";
            /// A statement of a PostgreSQL database.
            Postgres(PostgresProbe): postgres, "postgres";
            /// A statement of a MySQL or MariaDB database.
            Mysql(MysqlProbe): mysql, "mysql";
            /// A command to a Redis server.
            Redis(RedisProbe): redis, "redis";
            /// A program that runs on the vantage.
            Exec(ExecProbe): exec, "exec";
            /// Numbered records that are written to a store, and read back from it.
            Writes(WritesProbe): writes, "writes";
        }
    };
}

/// Generates the enum, the names, and every match over all kinds from the list.
macro_rules! enumerate {
    ($($(#[$about:meta])* $kind:ident($params:ident): $key:ident, $name:literal;)*) => {
        /// The request.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum ProbeKind {
            $($(#[$about])* #[serde(rename = $name)] $kind($params),)*
        }

        impl ProbeKind {
            /// All kinds' names, as they stand in files.
            pub const KINDS: [&'static str; [$($name),*].len()] = [$($name),*];

            /// All kinds' names in policies.
            pub const POLICY_NAMES: [&'static str; Self::KINDS.len()] = [$(concat!("probe-", $name)),*];

            /// A short table of each kind, in the order of the names.
            pub const EXAMPLES: [&'static str; Self::KINDS.len()] = [$(<$params as Form>::EXAMPLE),*];

            /// The kind's name as it stands in files, such as `http`.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $name,)*
                }
            }

            /// The kind's name in policies, such as `probe-http`.
            #[must_use]
            pub const fn policy_name(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => concat!("probe-", $name),)*
                }
            }

            /// Returns the keys of a kind whose values may be secrets; none for a name that no kind has.
            #[must_use]
            pub fn hides(name: &str) -> &'static [(&'static str, Hides)] {
                match name {
                    $($name => <$params as Form>::HIDES,)*
                    _ => &[],
                }
            }

            /// Returns the keys of a kind whose texts are sent to a server, or compared with its answer, byte by byte; none for a
            /// name that no kind has.
            #[must_use]
            pub fn as_it_is(name: &str) -> &'static [&'static str] {
                match name {
                    $($name => <$params as Form>::AS_IT_IS,)*
                    _ => &[],
                }
            }

            /// Returns its parameters as a [`Kind`].
            #[must_use]
            pub const fn as_kind(&self) -> &dyn Kind {
                match self {
                    $(Self::$kind(kind) => kind,)*
                }
            }

            /// Returns a copy without the texts that may be secrets.
            #[must_use]
            pub fn without_secrets(&self) -> Self {
                match self {
                    $(Self::$kind(kind) => Self::$kind(kind.without_secrets()),)*
                }
            }
        }
    };
}

probe_kinds!(enumerate);

impl ProbeKind {
    /// Returns the kind's descriptor.
    #[must_use]
    pub fn about(&self) -> About<'_> {
        self.as_kind().about()
    }

    /// Returns all destinations: each the host, without brackets, and the port. The first one is that of [`Reach::to`]. Where the values
    /// name no destination, there is none.
    #[must_use]
    pub fn destinations(&self) -> Vec<(String, u16)> {
        self.as_kind().destinations()
    }

    /// Returns the program that a request runs, as an argument vector; `None` for a kind that opens connections itself.
    #[must_use]
    pub fn runs(&self) -> Option<&[String]> {
        self.as_kind().runs()
    }

    /// Returns all errors in the parameters that can be found without reading a file.
    #[must_use]
    pub fn invalid(&self) -> Vec<Refusal> {
        self.as_kind().invalid()
    }
}

/// A measurement repeated at a fixed rate, as a vantage gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeSpec {
    /// The probe's name in the scenario.
    pub name: String,
    /// The request.
    pub kind: ProbeKind,
    /// Requests a second on the mean, open loop.
    pub rate: f64,
    /// The choice of the moments at which requests are due. If absent: evenly, because coordinators that do not send it mean that.
    #[serde(default = "Arrivals::even")]
    pub arrivals: Arrivals,
    /// The key that decides the random moments. Each run, probe and vantage has its own.
    #[serde(default)]
    pub key: u64,
    /// The maximum duration of a request, from when it was sent. One that takes longer is bad.
    pub timeout: Span,
    /// Whether connections are used again.
    #[serde(default)]
    pub connection: Connection,
    /// Addresses of names that the fleet knows. Other names are looked up by the vantage's resolver.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, Vec<IpAddr>>,
}

impl ProbeSpec {
    /// Returns the files and variables that the probe reads, the peers that it reaches, and the program that it runs. The policy of the host on
    /// which it runs decides by these. A name that comes with addresses is not looked up. Then the addresses count as peers, because the
    /// caller can give any name to them.
    #[must_use]
    pub fn touches(&self) -> Touches {
        let Self { name: _, kind, rate: _, arrivals: _, key: _, timeout: _, connection: _, names } = self;
        let about = kind.about();
        let mut all = Touches::default();
        let to = kind.destinations();
        all.runs.extend(kind.runs().map(<[String]>::to_vec));
        // A rule has to name a program, whomever this reaches.
        all.everything = to.is_empty() && all.runs.is_empty();
        let mut peers: Vec<String> = Vec::new();
        for (host, _) in to {
            match given(&host, names) {
                Some(addresses) if !addresses.is_empty() => {
                    peers.extend(addresses.iter().map(ToString::to_string));
                }
                _ => peers.push(host),
            }
        }
        let mut known = BTreeSet::new();
        peers.retain(|peer| known.insert(peer.clone()));
        all.peers = peers.into();
        for read in about.reads {
            match read.from {
                Source::File(path) => all.reads.push(path.to_owned()),
                Source::Variable(name) => all.variables.push(name.to_owned()),
            }
        }
        all
    }
}

/// The choice of the moments at which requests are due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// At random and independently of each other, as users come: a Poisson process, whose gaps are exponential.
    #[default]
    Poisson,
    /// At equal distances. Keeps in step with whatever is periodic in the system, such as a balancer that takes turns, and
    /// then measures one part of it only.
    Even,
}

impl Arrivals {
    /// Returns the value of messages that have none.
    #[must_use]
    pub const fn even() -> Self {
        Self::Even
    }
}

/// Whether every request opens a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// Every request opens one; sees an outage as new users do.
    #[default]
    New,
    /// Connections are kept and used again; can hide an outage.
    Reuse,
}

#[cfg(test)]
mod tests;
