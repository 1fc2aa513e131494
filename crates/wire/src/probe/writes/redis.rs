//! `redis`: records as keys of a Redis server.

use serde::{Deserialize, Serialize};

use super::{reading, refused};
use crate::probe::{
    RedisProbe, RedisRole, RedisSentinels,
    kind::{About, Connections, Form, Hides, Kind, Reach, Read, Shows},
    refused::{Field, Refusal},
    secret::Secret,
    secure::Secure,
    store::Addresses,
};

/// Keys of a Redis server, `RUN:PROBE:VANTAGE:NUMBER`. They stay. They are read back from the master; where several servers say that they are
/// it, nothing is known. A vantage needs clients of stores: the coordinator has them, and an agent of the feature `stores`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedisStore {
    /// `host:port`, or a list of them. Of several servers the first that is a master is written to; one is written to whatever it is. With
    /// `sentinel` these are the servers that may be the master.
    pub address: Addresses,
    /// The user's name; if absent, the server's default user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's password, resolved where the probe runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Sentinels that know which server is the master. The first address that one of them names, and whose server says the same by `ROLE`, is
    /// written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentinel: Option<RedisSentinels>,
    /// Whether connections are encrypted by TLS, also those to sentinels.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tls: bool,
    /// A PEM file, on the vantage, of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// The name that the servers' certificates must have; if absent, the host of the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// Returns the place of a value.
fn at(keys: &[&str]) -> Field {
    Field::request(keys).within("redis")
}

impl RedisStore {
    /// Returns the probe of the same servers, without a command of its own.
    #[must_use]
    pub fn probe(&self) -> RedisProbe {
        let Self { address, user, password, sentinel, tls, ca_file, server_name } = self.clone();
        let role = if address.all().len() > 1 { RedisRole::Master } else { RedisRole::Any };
        RedisProbe {
            address,
            command: RedisProbe::usual_command(),
            expect: None,
            user,
            password,
            role,
            sentinel,
            tls,
            ca_file,
            server_name,
        }
    }

    fn secure(&self) -> Secure<'_> {
        Secure { on: self.tls, ca_file: self.ca_file.as_deref(), server_name: self.server_name.as_deref() }
    }
}

impl Form for RedisStore {
    const EXAMPLE: &'static str = "{ address = \"cache1:6379\" }";
    const HIDES: &'static [(&'static str, Hides)] = &[("address", Hides::Url)];
    const AS_IT_IS: &'static [&'static str] = &[];

    fn without_secrets(&self) -> Self {
        let RedisProbe { address, sentinel, .. } = self.probe().without_secrets();
        Self { address, sentinel, ..self.clone() }
    }
}

impl Kind for RedisStore {
    fn about(&self) -> About<'_> {
        let Self { address, user: _, password, sentinel, tls, ca_file: _, server_name: _ } = self;
        let by = sentinel.as_ref().map_or_else(String::new, |one| format!(" by sentinels of {}", one.master));
        let (to, over) = (address.words(), if *tls { " over TLS" } else { "" });
        let mut reads = reading("redis", self.secure().reads());
        reads.extend(password.as_ref().map(|one| Read::secret(at(&["password"]), one)));
        let theirs = sentinel.as_ref().and_then(|one| one.password.as_ref());
        reads.extend(theirs.map(|one| Read::secret(at(&["sentinel", "password"]), one)));
        About {
            asks: format!("writes to redis {to}{by}{over}, in keys that stay"),
            measures: format!("writes to redis {to}{by}"),
            reach: Reach {
                field: at(&["address"]),
                text: address.first(),
                to: self.destinations().into_iter().next(),
            },
            shows: Shows::Keeps,
            connections: Connections::Any,
            reads,
            secrets: Vec::new(),
            fills: Vec::new(),
            clear: Vec::new(),
        }
    }

    fn destinations(&self) -> Vec<(String, u16)> {
        self.probe().destinations()
    }

    fn invalid(&self) -> Vec<Refusal> {
        refused("redis", self.probe().invalid())
    }

    fn vain(&self) -> Vec<Refusal> {
        refused("redis", self.probe().vain())
    }
}
