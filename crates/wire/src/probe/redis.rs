//! `redis`: a command to a Redis server.

use serde::{Deserialize, Serialize};

use super::{
    kind::{About, Connections, Form, Hides, Kind, Reach, Read, Shows},
    refused::{Field, Refusal},
    secret::Secret,
    secure::Secure,
    store::{Addresses, StoreServer, destinations, more, servers, unsendable},
};
use crate::hide::{self, Clear, Part};

/// The usual port of servers.
const PORT: u16 = 6379;
/// The usual port of sentinels.
const SENTINELS: u16 = 26379;

/// Commands that change what the connection itself is for, or end it.
const APART: [&str; 11] = [
    "AUTH",
    "HELLO",
    "MONITOR",
    "MULTI",
    "PSUBSCRIBE",
    "PSYNC",
    "QUIT",
    "RESET",
    "SSUBSCRIBE",
    "SUBSCRIBE",
    "SYNC",
];

/// A command to a Redis server. It is good if the answer is no error, and is the wanted one. Connecting and the command have one time-out
/// together. A vantage needs clients of stores: the coordinator has them, and an agent of the feature `stores`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedisProbe {
    /// `host:port`, or a list of them. They are tried one after another until a server has the role. With `sentinel` these are the servers
    /// that may be the master; another one is not asked, because no policy could have said whether it may be.
    pub address: Addresses,
    /// The command and its arguments.
    #[serde(default = "RedisProbe::usual_command")]
    pub command: Vec<String>,
    /// The answer's text, or its number; if absent, any answer that is no error is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// The user's name; if absent, the server's default user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's password, resolved where the probe runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The role that the server must have, asked by `ROLE` before the command.
    #[serde(default, skip_serializing_if = "RedisRole::is_any")]
    pub role: RedisRole,
    /// Sentinels that know which server is the master. The first address that one of them names, and whose server says the same by `ROLE`, is
    /// asked.
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

/// Sentinels of a Redis master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedisSentinels {
    /// The master's name, as sentinels know it.
    pub master: String,
    /// `host:port` of each sentinel, in the order in which they are asked.
    pub addresses: Vec<String>,
    /// The user's name at sentinels; if absent, their default user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's password at sentinels, resolved where the probe runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// A role of a Redis server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RedisRole {
    /// Either; with `sentinel`, the master.
    #[default]
    Any,
    /// It takes writes.
    Master,
    /// It follows a master.
    Replica,
}

impl RedisRole {
    const fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }
}

impl RedisProbe {
    /// The longest command with all arguments, in bytes.
    pub const COMMAND_MOST: usize = 64 * 1024;

    pub(super) fn usual_command() -> Vec<String> {
        vec!["PING".to_owned()]
    }

    /// Returns the servers.
    ///
    /// # Errors
    /// All texts that are no addresses. If there are none of these: all values about TLS that cannot be used.
    pub fn servers(&self) -> Result<Vec<StoreServer<'_>>, Vec<Refusal>> {
        servers(&["address"], self.address.all(), PORT, self.secure())
    }

    /// Returns the sentinels; none without them.
    ///
    /// # Errors
    /// The same as those of [`Self::servers`].
    pub fn sentinels(&self) -> Result<Vec<StoreServer<'_>>, Vec<Refusal>> {
        match &self.sentinel {
            Some(one) => servers(&["sentinel", "addresses"], &one.addresses, SENTINELS, self.secure()),
            None => Ok(Vec::new()),
        }
    }

    pub(super) fn secure(&self) -> Secure<'_> {
        Secure { on: self.tls, ca_file: self.ca_file.as_deref(), server_name: self.server_name.as_deref() }
    }

    fn wrong_command(&self) -> Option<Refusal> {
        let refuse = |what: String, label, help: &str| {
            Some(Refusal::new(Field::request(&["command"]), what, label, help))
        };
        let example = "for example [\"PING\"] or [\"GET\", \"key\"]";
        let Some(name) = self.command.first().filter(|name| !name.trim().is_empty()) else {
            return refuse("`command` is empty".to_owned(), "nothing is asked", example);
        };
        if name.contains(char::is_whitespace) {
            let what =
                "the first word of `command` has spaces: each argument is a text of its own".to_owned();
            return refuse(what, "one text", example);
        }
        let capitals = name.to_ascii_uppercase();
        if ["AUTH", "HELLO"].contains(&&*capitals) {
            let help = "give `user` and password = { secret_env = \"NAME\" } or { secret_file = \"PATH\" }";
            return refuse(format!("the prober itself sends {capitals}"), "a login", help);
        }
        if APART.contains(&&*capitals) {
            let what = format!("{capitals} changes the connection, or has more than one answer");
            return refuse(what, "cannot be asked", example);
        }
        let length = self.command.iter().map(String::len).sum::<usize>();
        if length > Self::COMMAND_MOST {
            let what = format!("the command has {length} bytes; at most {} are sent", Self::COMMAND_MOST);
            return refuse(what, "too much", example);
        }
        None
    }

    fn wrong_sentinel(&self) -> Vec<Refusal> {
        let Some(sentinel) = &self.sentinel else { return Vec::new() };
        let mut wrong = Vec::new();
        let at = |key: &str| Field::request(&["sentinel", key]);
        if sentinel.master.is_empty() || sentinel.master.contains(|c: char| c.is_control() || c == ' ') {
            let what = "`master` is not the name of a master";
            wrong.push(Refusal::new(at("master"), what, "no name", "for example \"mymaster\""));
        }
        wrong.extend(
            sentinel.password.as_ref().and_then(|one| one.invalid(at("password"), "the sentinels' password")),
        );
        if sentinel.user.is_some() && sentinel.password.is_none() {
            wrong.push(alone(at("user")));
        }
        if self.role == RedisRole::Replica {
            let what = "sentinels are asked for the master, which is no replica";
            let help = "leave `sentinel` out, or write role = \"master\"";
            wrong.push(Refusal::new(Field::request(&["role"]), what, "never so", help));
        }
        wrong
    }
}

fn alone(field: Field) -> Refusal {
    let help = "password = { secret_env = \"NAME\" } or { secret_file = \"PATH\" }";
    Refusal::new(field, "a user without a password cannot log in", "alone", help)
}

impl Form for RedisProbe {
    const EXAMPLE: &'static str = "{ address = \"cache1:6379\" }";
    const HIDES: &'static [(&'static str, Hides)] = &[("address", Hides::Url), ("command", Hides::Whole)];
    const AS_IT_IS: &'static [&'static str] = &["command", "expect"];

    fn without_secrets(&self) -> Self {
        let sentinel = self.sentinel.clone().map(|one| RedisSentinels {
            addresses: Addresses::Several(one.addresses).without_secrets().all().to_vec(),
            ..one
        });
        Self {
            address: self.address.without_secrets(),
            command: hide::argv(&self.command),
            sentinel,
            ..self.clone()
        }
    }
}

impl Kind for RedisProbe {
    fn about(&self) -> About<'_> {
        let Self {
            address,
            command,
            expect: _,
            user: _,
            password,
            role,
            sentinel,
            tls,
            ca_file: _,
            server_name: _,
        } = self;
        let words = hide::argv(command);
        let hidden = command.iter().zip(&words).filter(|(word, shown)| word != shown);
        let field = || Field::request(&["command"]);
        let clear = hidden.map(|(word, _)| Clear {
            field: field(),
            part: Part::Sent,
            text: word.clone(),
            sure: true,
        });
        let clear = clear.collect();
        let (at, command) = (address.words(), words.join(" "));
        let of = match (sentinel, role) {
            (Some(sentinel), _) => format!(" of the master {} by sentinels", sentinel.master),
            (None, RedisRole::Any) => String::new(),
            (None, RedisRole::Master) => " of the master".to_owned(),
            (None, RedisRole::Replica) => " of a replica".to_owned(),
        };
        let over = if *tls { " over TLS" } else { "" };
        let mut reads = self.secure().reads();
        reads.extend(password.as_ref().map(|one| Read::secret(Field::request(&["password"]), one)));
        let theirs = sentinel.as_ref().and_then(|one| one.password.as_ref());
        reads.extend(theirs.map(|one| Read::secret(Field::request(&["sentinel", "password"]), one)));
        About {
            asks: format!("redis {command}{of} at {at}{over}"),
            measures: format!("{command}{of} at {at}"),
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
            clear,
        }
    }

    fn destinations(&self) -> Vec<(String, u16)> {
        let servers = destinations(&["address"], self.address.all(), PORT);
        let sentinels = self.sentinel.as_ref().map_or(Ok(Vec::new()), |one| {
            destinations(&["sentinel", "addresses"], &one.addresses, SENTINELS)
        });
        let (Ok(servers), Ok(sentinels)) = (servers, sentinels) else { return Vec::new() };
        servers.into_iter().chain(sentinels).map(|(host, port)| (host.to_owned(), port)).collect()
    }

    fn invalid(&self) -> Vec<Refusal> {
        let mut wrong = self.servers().err().unwrap_or_default();
        more(&mut wrong, self.sentinels().err().unwrap_or_default());
        wrong.extend(self.wrong_command());
        wrong.extend(
            self.password.as_ref().and_then(|one| one.invalid(Field::request(&["password"]), "`password`")),
        );
        if self.user.is_some() && self.password.is_none() {
            wrong.push(alone(Field::request(&["user"])));
        }
        wrong.extend(self.expect.as_ref().and_then(|text| unsendable("expect", text, Self::COMMAND_MOST)));
        wrong.extend(self.wrong_sentinel());
        wrong
    }

    fn vain(&self) -> Vec<Refusal> {
        self.secure().vain()
    }
}

#[cfg(test)]
mod tests;
