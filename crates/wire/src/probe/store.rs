//! The values that probes of stores have in common: addresses, and texts that are sent to a server.

use std::fmt;

use rustls_pki_types::ServerName;
use serde::{Deserialize, Serialize, de};

use super::{
    address::host_and_port,
    refused::{Field, Refusal},
    secret::Secret,
    secure::Secure,
};
use crate::hide::{self, Clear, HIDDEN, Part, names_secret};

/// The most addresses of a store.
const MOST: usize = 16;

/// One address, or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Addresses {
    /// `host:port`.
    One(String),
    /// `host:port` of each server, in the order in which they are tried.
    Several(Vec<String>),
}

impl Addresses {
    /// Returns all of them.
    #[must_use]
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(all) => all,
        }
    }

    /// Returns the first text; empty where there is none.
    pub(super) fn first(&self) -> &str {
        self.all().first().map_or("", String::as_str)
    }

    /// Returns a copy without what may be secrets.
    pub(super) fn without_secrets(&self) -> Self {
        match self {
            Self::One(one) => Self::One(shown(one)),
            Self::Several(all) => Self::Several(all.iter().map(|one| shown(one)).collect()),
        }
    }

    /// Returns them for people.
    pub(super) fn words(&self) -> String {
        self.without_secrets().all().join(", ")
    }
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Addresses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address such as \"db1:5432\", or a list of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Addresses, E> {
                Ok(Addresses::One(text.to_owned()))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Addresses, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(Addresses::Several(all))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Returns an address as it may be shown: one that is a URL may have a password.
fn shown(text: &str) -> String {
    if text.contains("://") {
        hide::url(text)
    } else {
        text.rsplit_once('@').map_or(text.to_owned(), |(_, rest)| format!("{HIDDEN}@{rest}"))
    }
}

/// One server of a store.
#[derive(Clone, Debug)]
pub struct StoreServer<'p> {
    /// The host, without brackets.
    pub host: &'p str,
    /// The port.
    pub port: u16,
    /// The name that the certificate must have; `None` without TLS.
    pub name: Option<ServerName<'static>>,
}

/// Returns the servers of addresses. `key` leads to them; `port` is the usual one, for examples.
///
/// # Errors
/// All texts that are no addresses. If there are none of these: all values about TLS that cannot be used.
pub(super) fn servers<'p>(
    key: &[&str],
    all: &'p [String],
    port: u16,
    secure: Secure<'_>,
) -> Result<Vec<StoreServer<'p>>, Vec<Refusal>> {
    let to = destinations(key, all, port)?;
    let mut wrong = Vec::new();
    for (host, _) in &to {
        more(&mut wrong, secure.refusals(host, key));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let server = |(host, port)| Ok(StoreServer { host, port, name: secure.name_if_on(host, key)? });
    to.into_iter().map(server).collect()
}

/// Adds refusals, but none that is there already: several servers have some values in common.
pub(super) fn more(wrong: &mut Vec<Refusal>, others: Vec<Refusal>) {
    for other in others {
        if !wrong.contains(&other) {
            wrong.push(other);
        }
    }
}

/// Returns the hosts, without brackets, and ports of addresses. `key` leads to them.
///
/// # Errors
/// All texts that are no addresses.
pub(super) fn destinations<'a>(
    key: &[&str],
    all: &'a [String],
    port: u16,
) -> Result<Vec<(&'a str, u16)>, Vec<Refusal>> {
    let field = || Field::request(key);
    let help = format!("for example \"db1:{port}\" or [\"db1:{port}\", \"db2:{port}\"]");
    if all.is_empty() {
        return Err(vec![Refusal::new(field(), "no address is given", "no address", help)]);
    }
    if all.len() > MOST {
        let what = format!("{} addresses are given; at most {MOST} are tried", all.len());
        return Err(vec![Refusal::new(field(), what, "too many", help)]);
    }
    let mut wrong = Vec::new();
    let mut good = Vec::new();
    for text in all {
        match destination(text) {
            Ok(to) => good.push(to),
            Err((what, label, Some(help))) => wrong.push(Refusal::new(field(), what, label, help)),
            Err((what, label, None)) => wrong.push(Refusal::new(field(), what, label, help.clone())),
        }
    }
    if wrong.is_empty() { Ok(good) } else { Err(wrong) }
}

type Why = (String, &'static str, Option<&'static str>);

fn destination(text: &str) -> Result<(&str, u16), Why> {
    if text.contains('@') {
        let what = "the address holds a user or a password, which a file of a drill must not have".to_owned();
        let help = "write address = \"host:port\", user = \"NAME\" and password = { secret_env = \"NAME\" } or { secret_file = \"PATH\" }";
        return Err((what, "a login in an address", Some(help)));
    }
    if text.contains("://") {
        let what = format!("`{}` is a URL, not host:port", hide::url(text));
        let help = "write address = \"host:port\"; the database, the user, the password and TLS have keys of their own";
        return Err((what, "a URL", Some(help)));
    }
    host_and_port(text).map_err(|why| (format!("`{text}` is not host:port: {why}"), "not host:port", None))
}

/// Returns a text that is sent as plans and messages show it: all of it is hidden where it speaks of a password or a key.
pub(super) fn sent(field: Field, text: &str) -> (String, Option<Clear>) {
    if names_secret(text) {
        let clear = Clear { field, part: Part::Sent, text: text.to_owned(), sure: true };
        return (HIDDEN.to_owned(), Some(clear));
    }
    (text.to_owned(), None)
}

/// The values of a statement of a database.
pub(super) struct Sql<'p> {
    pub(super) user: &'p str,
    pub(super) database: Option<&'p str>,
    pub(super) password: Option<&'p Secret>,
    pub(super) statement: &'p str,
    pub(super) expect: Option<&'p str>,
    /// Maximum length of the user's and of the database's name, in bytes.
    pub(super) name_most: usize,
    /// Maximum length of the statement, in bytes.
    pub(super) most: usize,
}

impl Sql<'_> {
    /// Refuses values that no server could get.
    pub(super) fn refusals(&self) -> Vec<Refusal> {
        let password = Field::request(&["password"]);
        let mut wrong: Vec<Refusal> =
            self.password.and_then(|one| one.invalid(password, "`password`")).into_iter().collect();
        for (key, text) in [("user", Some(self.user)), ("database", self.database)] {
            let Some(text) = text else { continue };
            wrong.extend(unsendable(key, text, self.name_most));
            if text.is_empty() {
                let what = format!("`{key}` is empty");
                wrong.push(Refusal::new(Field::request(&[key]), what, "no name", "for example \"drill\""));
            }
        }
        if self.statement.trim().is_empty() {
            let (field, what) = (Field::request(&["statement"]), "`statement` is empty");
            let help = "for example \"select 1\", or leave it out";
            wrong.push(Refusal::new(field, what, "nothing is asked", help));
        }
        wrong.extend(unsendable("statement", self.statement, self.most));
        wrong.extend(self.expect.and_then(|text| unsendable("expect", text, self.most)));
        wrong
    }
}

/// Refuses a text that a server could not get.
pub(super) fn unsendable(key: &str, text: &str, most: usize) -> Option<Refusal> {
    let refuse = |what: String, label| {
        Some(Refusal::new(Field::request(&[key]), what, label, "a text without NUL characters"))
    };
    if text.contains('\0') {
        return refuse(format!("`{key}` holds a NUL character, which cannot be sent"), "cannot be sent");
    }
    if text.len() > most {
        return refuse(format!("`{key}` has {} bytes; at most {most} are allowed", text.len()), "too much");
    }
    None
}
