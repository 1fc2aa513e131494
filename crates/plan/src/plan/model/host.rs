//! The hosts of a plan, and the connections to their agents.

use std::{collections::BTreeMap, net::IpAddr};

use firedrill_wire::hide;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A host of the fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its name; also the name in its agent's certificate.
    pub name: String,
    /// Its addresses, as peers see it; names resolve to the first one first.
    pub addresses: Vec<IpAddr>,
    /// All labels by which it can be selected: `provider`, `region`, `zone`, `env`, and any other.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Its roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The connection to its agent. It is serialized without secrets.
    #[serde(serialize_with = "without_secrets")]
    pub agent: Reach,
    /// The shared way to it, usually a bastion. `None` if it is reached directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Way>,
}

/// A way to hosts, such as a bastion, which accepts only a limited number of new connections at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Way {
    /// The words of the fleet's `connect` with its placeholders: the same for all hosts that are reached this way. They
    /// are serialized as one text without secrets, and read from it as one word.
    #[serde(serialize_with = "as_text", deserialize_with = "of_text")]
    pub connect: Vec<String>,
    /// Maximum number of links that are opened over it at a time.
    pub at_once: usize,
}

impl Way {
    /// The default of [`Self::at_once`]. By default sshd drops new connections at random from the tenth on (`MaxStartups`); two
    /// are left for other clients.
    pub const AT_ONCE: usize = 8;
}

/// The connection to an agent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// TCP to `host:port`.
    Tcp(String),
    /// A program whose standard streams are the link; an argument vector, `%h` and `%p` already filled in.
    Command(Vec<String>),
}

impl Reach {
    /// Formats the connection for people, without secrets.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Tcp(address) => address.clone(),
            Self::Command(words) => hide::argv(words).join(" "),
        }
    }
}

/// Serializes the words of a command as one text without secrets.
fn as_text<S: Serializer>(words: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    hide::argv(words).join(" ").serialize(serializer)
}

/// Parses such a text as one word.
fn of_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    String::deserialize(deserializer).map(|text| vec![text])
}

/// Serializes a connection without secrets, for a log, a report or a digest.
fn without_secrets<S: Serializer>(reach: &Reach, serializer: S) -> Result<S::Ok, S::Error> {
    match reach {
        Reach::Tcp(_) => reach.serialize(serializer),
        Reach::Command(words) => Reach::Command(hide::argv(words)).serialize(serializer),
    }
}
