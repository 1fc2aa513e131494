//! `dns`: a question to a name server, and the answer that is wanted.

mod parsed;
mod record;

use serde::{Deserialize, Serialize};

pub use parsed::DnsParsed;
pub use record::{DnsRecord, Rcode};

use super::{
    address::host_and_usual_port,
    kind::{About, Connections, Form, Hides, Kind, Reach, Shows},
    refused::{Field, Refusal},
};

/// A question to one name server, past the vantage's own resolver and its cache. Without other wishes it is good if the server answers with
/// `NOERROR` and at least one record of the type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DnsProbe {
    /// The name server: `host`, `host:port` or an address. Without a port it is 53.
    pub server: String,
    /// The name that is asked for, always whole: nothing is appended to it.
    pub name: String,
    /// The type of the records.
    #[serde(default, rename = "type")]
    pub record: DnsRecord,
    /// The transport of the question. An answer that was cut to fit into a datagram (the server sets the flag TC) is asked for again by
    /// TCP at the same address, as resolvers do; whatever becomes of that decides.
    #[serde(default)]
    pub transport: DnsTransport,
    /// The code that is good. With another than `NOERROR` no records are wanted.
    #[serde(default)]
    pub rcode: Rcode,
    /// Records that the answer must have, such as `["192.0.2.7"]`. Addresses are compared as numbers, names without regard to
    /// capitals and the last dot, texts (`TXT`) byte by byte, their parts joined. Of `MX` it is `"10 mail.example.com"`, of `SRV`
    /// `"10 5 5060 sip.example.com"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<String>,
    /// The agreement that is wanted between `expect` and the answer.
    #[serde(default, rename = "match")]
    pub matching: DnsMatch,
}

/// The transport of a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DnsTransport {
    /// A datagram from a port of its own for each question. It is not sent again: a lost one is a time-out.
    #[default]
    Udp,
    /// A connection for each question.
    Tcp,
}

/// The agreement that is wanted between the answer's records of the type and the expected ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DnsMatch {
    /// Each expected record is there. Others may be, too.
    #[default]
    All,
    /// At least one expected record is there.
    Any,
    /// Each expected record is there, and no other.
    Exact,
}

impl DnsProbe {
    /// The port of name servers.
    pub const PORT: u16 = 53;

    fn to(&self) -> Result<(&str, u16), Refusal> {
        host_and_usual_port(&self.server, Self::PORT).map_err(|why| {
            let what = format!("`{}` is no name server: {why}", self.server);
            let help = "for example \"ns1.example.com\", \"192.0.2.53:5353\" or \"[fd00::53]:53\"";
            Refusal::new(Field::request(&["server"]), what, "not a server", help)
        })
    }
}

impl Form for DnsProbe {
    const EXAMPLE: &'static str = "{ server = \"ns1\", name = \"shop.example.com\" }";
    const HIDES: &'static [(&'static str, Hides)] = &[];
    const AS_IT_IS: &'static [&'static str] = &["expect"];

    fn without_secrets(&self) -> Self {
        self.clone()
    }
}

impl Kind for DnsProbe {
    fn about(&self) -> About<'_> {
        let Self { server, name, record, transport, rcode, expect, matching } = self;
        let by = if *transport == DnsTransport::Tcp { " by TCP" } else { "" };
        let code = if *rcode == Rcode::NoError { String::new() } else { format!(", expects {rcode}") };
        let wanted = match (expect.as_slice(), matching) {
            ([], _) => String::new(),
            ([one], DnsMatch::All | DnsMatch::Any) => format!(", expects {one}"),
            ([one], DnsMatch::Exact) => format!(", expects {one} only"),
            (all, DnsMatch::All) => format!(", expects all of {}", all.join(", ")),
            (all, DnsMatch::Any) => format!(", expects one of {}", all.join(", ")),
            (all, DnsMatch::Exact) => format!(", expects {} only", all.join(", ")),
        };
        About {
            asks: format!("dns {record} {name} at {server}{by}{code}{wanted}"),
            measures: format!("answers of {server} about {name} ({record})"),
            reach: Reach {
                field: Field::request(&["server"]),
                text: server,
                to: self.to().ok().map(|(host, port)| (host.to_owned(), port)),
            },
            shows: Shows::Answers,
            connections: Connections::New("a DNS probe asks each time from a port of its own"),
            reads: Vec::new(),
            secrets: Vec::new(),
            fills: Vec::new(),
            clear: Vec::new(),
        }
    }

    fn invalid(&self) -> Vec<Refusal> {
        self.checked().err().unwrap_or_default()
    }

    fn vain(&self) -> Vec<Refusal> {
        if self.matching == DnsMatch::default() || !self.expect.is_empty() {
            return Vec::new();
        }
        let what = "has `match`, but `expect` names no record";
        vec![Refusal::new(
            Field::request(&["match"]),
            what,
            "has no effect",
            "leave it out, or give `expect`",
        )]
    }
}

#[cfg(test)]
mod tests;
