//! `postgres`: records as rows of a table in a PostgreSQL database.

use serde::{Deserialize, Serialize};

use super::{reading, refused};
use crate::probe::{
    PostgresProbe, PostgresRole,
    kind::{About, Connections, Form, Hides, Kind, Reach, Read, Shows},
    refused::{Field, Refusal},
    secret::Secret,
    secure::Secure,
    store::Addresses,
};

/// Rows of the table `firedrill_writes` in a PostgreSQL database, which is made if it is not there. The rows stay. They are read back from the
/// primary; where several servers say that they are it, nothing is known. A vantage needs clients of stores: the coordinator has them, and an
/// agent of the feature `stores`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresStore {
    /// `host:port`, or a list of them. Of several servers the first that is a primary is written to; one is written to whatever it is.
    pub address: Addresses,
    /// The database; if absent, that of the user's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The user's name. It must be allowed to make tables, unless `firedrill_writes` is there.
    pub user: String,
    /// The user's password, resolved where the probe runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Whether the connection is encrypted by TLS. A server that has none is bad then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tls: bool,
    /// A PEM file, on the vantage, of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// The name that the server's certificate must have; if absent, the host of `address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// Returns the place of a value.
fn at(key: &str) -> Field {
    Field::request(&["postgres", key])
}

impl PostgresStore {
    /// Returns the probe of the same servers, without a statement of its own.
    #[must_use]
    pub fn probe(&self) -> PostgresProbe {
        let Self { address, database, user, password, tls, ca_file, server_name } = self.clone();
        let role = if address.all().len() > 1 { PostgresRole::Primary } else { PostgresRole::Any };
        PostgresProbe {
            address,
            database,
            user,
            password,
            statement: PostgresProbe::usual_statement(),
            expect: None,
            role,
            tls,
            ca_file,
            server_name,
        }
    }

    fn secure(&self) -> Secure<'_> {
        Secure { on: self.tls, ca_file: self.ca_file.as_deref(), server_name: self.server_name.as_deref() }
    }
}

impl Form for PostgresStore {
    const EXAMPLE: &'static str = "{ address = \"db1:5432\", user = \"drill\" }";
    const HIDES: &'static [(&'static str, Hides)] = &[("address", Hides::Url)];
    const AS_IT_IS: &'static [&'static str] = &[];

    fn without_secrets(&self) -> Self {
        Self { address: self.address.without_secrets(), ..self.clone() }
    }
}

impl Kind for PostgresStore {
    fn about(&self) -> About<'_> {
        let Self { address, database: _, user: _, password, tls, ca_file: _, server_name: _ } = self;
        let to = address.words();
        let over = if *tls { " over TLS" } else { "" };
        let mut reads = reading("postgres", self.secure().reads());
        reads.extend(password.as_ref().map(|one| Read::secret(at("password"), one)));
        About {
            asks: format!("writes to postgres {to}{over}, in rows that stay"),
            measures: format!("writes to postgres {to}"),
            reach: Reach {
                field: at("address"),
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
        refused("postgres", self.probe().invalid())
    }

    fn vain(&self) -> Vec<Refusal> {
        refused("postgres", self.probe().vain())
    }
}
