//! `postgres`: a statement of a PostgreSQL database.

use serde::{Deserialize, Serialize};

use super::{
    kind::{About, Connections, Form, Hides, Kind, Reach, Read, Shows},
    refused::{Field, Refusal},
    secret::Secret,
    secure::Secure,
    store::{Addresses, Sql, StoreServer, destinations, sent, servers},
};

/// The usual port.
const PORT: u16 = 5432;
/// Maximum length of a user's and of a database's name, in bytes.
const NAME_MOST: usize = 63;

/// A statement of a PostgreSQL database. It is good once the server has carried it out, and its first value is the wanted one. Connecting and
/// the statement have one time-out together. A vantage needs clients of stores: the coordinator has them, and an agent of the feature `stores`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresProbe {
    /// `host:port`, or a list of them. They are tried one after another until a server has the role.
    pub address: Addresses,
    /// The database; if absent, that of the user's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The user's name.
    pub user: String,
    /// The user's password, resolved where the probe runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The statement, sent as it is.
    #[serde(default = "PostgresProbe::usual_statement")]
    pub statement: String,
    /// The text of the first column of the first row; if absent, any answer is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// The role that the server must have, asked by `pg_is_in_recovery()` before the statement.
    #[serde(default, skip_serializing_if = "PostgresRole::is_any")]
    pub role: PostgresRole,
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

/// A role of a PostgreSQL server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PostgresRole {
    /// Either.
    #[default]
    Any,
    /// It takes writes.
    Primary,
    /// It follows a primary.
    Standby,
}

impl PostgresRole {
    const fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }
}

impl PostgresProbe {
    /// The longest statement, in bytes.
    pub const STATEMENT_MOST: usize = 64 * 1024;

    pub(super) fn usual_statement() -> String {
        "select 1".to_owned()
    }

    /// Returns the servers.
    ///
    /// # Errors
    /// All texts that are no addresses. If there are none of these: all values about TLS that cannot be used.
    pub fn servers(&self) -> Result<Vec<StoreServer<'_>>, Vec<Refusal>> {
        servers(&["address"], self.address.all(), PORT, self.secure())
    }

    pub(super) fn secure(&self) -> Secure<'_> {
        Secure { on: self.tls, ca_file: self.ca_file.as_deref(), server_name: self.server_name.as_deref() }
    }
}

impl Form for PostgresProbe {
    const EXAMPLE: &'static str = "{ address = \"db1:5432\", user = \"drill\" }";
    const HIDES: &'static [(&'static str, Hides)] = &[("address", Hides::Url), ("statement", Hides::Whole)];
    const AS_IT_IS: &'static [&'static str] = &["statement", "expect"];

    fn without_secrets(&self) -> Self {
        let (statement, _) = sent(Field::request(&["statement"]), &self.statement);
        Self { address: self.address.without_secrets(), statement, ..self.clone() }
    }
}

impl Kind for PostgresProbe {
    fn about(&self) -> About<'_> {
        let Self {
            address,
            database: _,
            user: _,
            password,
            statement,
            expect: _,
            role,
            tls,
            ca_file: _,
            server_name: _,
        } = self;
        let (statement, clear) = sent(Field::request(&["statement"]), statement);
        let at = address.words();
        let of = match role {
            PostgresRole::Any => "",
            PostgresRole::Primary => " of the primary",
            PostgresRole::Standby => " of a standby",
        };
        let over = if *tls { " over TLS" } else { "" };
        let mut reads = self.secure().reads();
        reads.extend(password.as_ref().map(|one| Read::secret(Field::request(&["password"]), one)));
        About {
            asks: format!("postgres `{statement}`{of} at {at}{over}"),
            measures: format!("`{statement}`{of} at {at}"),
            reach: Reach {
                field: Field::request(&["address"]),
                text: address.first(),
                to: self.destinations().into_iter().next(),
            },
            shows: Shows::Answers,
            connections: Connections::Any,
            reads,
            secrets: Vec::new(),
            fills: Vec::new(),
            clear: clear.into_iter().collect(),
        }
    }

    fn destinations(&self) -> Vec<(String, u16)> {
        let all = destinations(&["address"], self.address.all(), PORT).unwrap_or_default();
        all.into_iter().map(|(host, port)| (host.to_owned(), port)).collect()
    }

    fn invalid(&self) -> Vec<Refusal> {
        let mut wrong = self.servers().err().unwrap_or_default();
        let sql = Sql {
            user: &self.user,
            database: self.database.as_deref(),
            password: self.password.as_ref(),
            statement: &self.statement,
            expect: self.expect.as_deref(),
            name_most: NAME_MOST,
            most: Self::STATEMENT_MOST,
        };
        wrong.extend(sql.refusals());
        wrong
    }

    fn vain(&self) -> Vec<Refusal> {
        self.secure().vain()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> PostgresProbe {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn each_value_that_cannot_be_is_told_once() {
        for (json, why) in [
            (r#"{"address":"db1","user":"u"}"#, "not host:port"),
            (r#"{"address":[],"user":"u"}"#, "no address"),
            (r#"{"address":["db1:1","db2"],"user":"u"}"#, "`db2`"),
            (r#"{"address":"postgres://db1:1/x","user":"u"}"#, "keys of their own"),
            (r#"{"address":"db1:1","user":""}"#, "`user` is empty"),
            (r#"{"address":"db1:1","user":"u","statement":" "}"#, "`statement` is empty"),
            (r#"{"address":"db1:1","user":"u","password":{"secret_env":""}}"#, "`password`"),
            (r#"{"address":"db1:1","user":"u","database":"a\u0000b"}"#, "NUL"),
            (r#"{"address":["db1:1","db2:1"],"user":"u","tls":true,"ca_file":""}"#, "`ca_file`"),
            (r#"{"address":["db1:1","-:1"],"user":"u","tls":true}"#, "name the host `-`"),
            (r#"{"address":["db1:1","-:1"],"user":"u","tls":true,"server_name":"a b"}"#, "`a b`"),
        ] {
            let said: Vec<String> = of(json).invalid().iter().map(ToString::to_string).collect();
            assert!(said.len() == 1 && said[0].contains(why), "{json}: {said:?}");
        }
        for text in ["postgres://u:geheim@db1:5432/x", "u:geheim@db1:5432"] {
            let probe = of(&format!(r#"{{"address":["{text}"],"user":"u"}}"#));
            let said = probe.invalid();
            assert!(said.len() == 1 && said[0].help.contains("secret_env"), "{said:?}");
            let shown = format!("{said:?} {:?} {}", probe.without_secrets(), probe.about().asks);
            assert!(!shown.contains("geheim"), "{shown}");
        }
    }

    #[test]
    fn whom_it_reaches_and_what_it_reads_is_told() {
        let probe = of(r#"{"address":["db1:5432","[::1]:5433"],"user":"u","role":"primary","tls":true,
            "ca_file":"/ca","password":{"secret_file":"/s/pg"}}"#);
        assert_eq!(probe.invalid(), []);
        assert_eq!(probe.destinations(), [("db1".to_owned(), 5432), ("::1".to_owned(), 5433)]);
        let about = probe.about();
        assert_eq!(about.reads.iter().map(|read| read.secret).collect::<Vec<_>>(), [false, true]);
        assert_eq!(about.asks, "postgres `select 1` of the primary at db1:5432, [::1]:5433 over TLS");
        let probe = of(r#"{"address":"db1:1","user":"u","statement":"alter role u password 'geheim'"}"#);
        assert_eq!(probe.about().clear.len(), 1);
        assert!(!format!("{:?}{}", probe.without_secrets(), probe.about().asks).contains("geheim"));
        assert!(serde_json::from_str::<PostgresProbe>(r#"{"address":5,"user":"u"}"#).is_err());
    }
}
