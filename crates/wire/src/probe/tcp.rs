//! `tcp`: a TCP connection that opens, and, if that is wanted, a text that is sent and an answer to it.

mod parsed;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use parsed::{TcpParsed, Wants};

use super::{
    address::destination,
    kind::{About, Connections, Form, Hides, Kind, Reach, Shows},
    refused::{Field, Refusal},
    secure::Secure,
};
use crate::hide::{Clear, Hiding};

/// A TCP connection that opens. With `expect` or `matches`, an answer that is read from it, too.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpProbe {
    /// `host:port`.
    pub address: String,
    /// A text that is sent once the connection is open, as it stands. Line breaks are written `\r\n`. A server that speaks first, such
    /// as one for SMTP, needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<String>,
    /// Bytes that are sent instead of a text, as hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_hex: Option<String>,
    /// A text that the answer must contain, within its first 64 KiB and the time-out. The request ends as soon as it is there. If the
    /// server closes the connection before, the request is bad; if it neither sends the text nor closes, the time-out ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// A regular expression instead of a text. It is searched in all that has arrived, whenever something arrives; `$` is the end of
    /// that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// Whether the connection is encrypted by TLS from its first byte on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tls: bool,
    /// A PEM file, on the vantage, of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// The name that the server's certificate must have; if absent, the host of `address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

impl TcpProbe {
    /// The prober reads so many bytes of an answer.
    pub const ANSWER_MOST: usize = 64 * 1024;
    /// The longest text that is sent, in bytes.
    pub const SEND_MOST: usize = 16 * 1024;

    /// Returns the probe that opens a connection, and sends and reads nothing.
    #[must_use]
    pub fn opens(address: impl Into<String>) -> Self {
        Self { address: address.into(), ..Self::default() }
    }

    /// Returns the host, without brackets, and the port.
    ///
    /// # Errors
    /// The text is no address.
    pub fn parsed(&self) -> Result<(&str, u16), Refusal> {
        destination(&self.address, ("db1", 5432))
    }

    fn secure(&self) -> Secure<'_> {
        Secure { on: self.tls, ca_file: self.ca_file.as_deref(), server_name: self.server_name.as_deref() }
    }

    /// Returns a copy without the texts that may be secrets, and these texts.
    fn hiding(&self) -> (Self, Vec<Clear>) {
        let mut hiding = Hiding::new([]);
        let mut sent = |key: &str, text: &Option<String>| {
            text.as_ref().map(|text| hiding.sent(&Field::request(&[key]), text))
        };
        let (send, send_hex) = (sent("send", &self.send), sent("send_hex", &self.send_hex));
        let expect = self.expect.as_ref().map(|text| hiding.echoed(text));
        let matches = self.matches.as_ref().map(|text| hiding.echoed(text));
        (Self { send, send_hex, expect, matches, ..self.clone() }, hiding.found())
    }
}

impl Form for TcpProbe {
    const EXAMPLE: &'static str = "{ address = \"edge:80\" }";
    const HIDES: &'static [(&'static str, Hides)] = &[("send", Hides::Whole), ("send_hex", Hides::Whole)];
    const AS_IT_IS: &'static [&'static str] = &["send", "expect", "matches"];

    fn without_secrets(&self) -> Self {
        self.hiding().0
    }
}

impl Kind for TcpProbe {
    fn about(&self) -> About<'_> {
        let Self { address, send, send_hex, expect, matches, tls, ca_file: _, server_name: _ } = self;
        let (shown, clear) = self.hiding();
        let answers = expect.is_some() || matches.is_some();
        let over = if *tls { "tls" } else { "tcp" };
        let wanted = match (&shown.expect, &shown.matches) {
            (Some(text), _) => format!(", expects {text:?}"),
            (None, Some(pattern)) => format!(", matches {pattern:?}"),
            (None, None) => String::new(),
        };
        let sends = if send.is_some() || send_hex.is_some() { ", sends a text" } else { "" };
        About {
            asks: format!("{over} {address}{sends}{wanted}"),
            measures: match (answers, tls) {
                (true, _) => format!("{} answers of {address}", over.to_uppercase()),
                (false, true) => format!("TLS connections to {address}"),
                (false, false) => format!("TCP connections to {address}"),
            },
            reach: Reach {
                field: Field::request(&["address"]),
                text: address,
                to: self.parsed().ok().map(|(host, port)| (host.to_owned(), port)),
            },
            shows: if answers { Shows::Answers } else { Shows::Opens },
            connections: Connections::New(
                "a TCP probe opens a connection each time, and has none to use again",
            ),
            reads: self.secure().reads(),
            secrets: Vec::new(),
            fills: Vec::new(),
            clear,
        }
    }

    fn invalid(&self) -> Vec<Refusal> {
        self.checked().err().unwrap_or_default()
    }

    fn vain(&self) -> Vec<Refusal> {
        self.secure().vain()
    }
}

/// Prints no hidden text: other types print this one with their own [`Debug`].
impl fmt::Debug for TcpProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, send, send_hex, expect, matches, tls, ca_file, server_name } =
            &self.without_secrets();
        f.debug_struct("TcpProbe")
            .field("address", address)
            .field("send", send)
            .field("send_hex", send_hex)
            .field("expect", expect)
            .field("matches", matches)
            .field("tls", tls)
            .field("ca_file", ca_file)
            .field("server_name", server_name)
            .finish()
    }
}

#[cfg(test)]
mod tests;
