//! The trait [`Kind`], which each kind of channel implements for its parameters: it makes the data to send, and reads answers. Sends nothing.

pub(crate) mod email;
pub(crate) mod grafana;
pub(crate) mod pagerduty;
pub(crate) mod slack;
pub(crate) mod statsd;
pub(crate) mod syslog;
pub(crate) mod webhook;

use firedrill_wire::probe::{Field, HttpProbe, HttpTarget, Refusal, Secret, TcpProbe};

use crate::{
    mail::Mail,
    message::{Message, What},
    secrets::Opened,
};

/// The parameters of a kind of channel. They know their errors, the data to send for a message, and the meaning of an answer.
pub trait Kind: Send + Sync {
    /// Returns the secrets, each with its key in the file.
    fn secrets(&self) -> Vec<(&'static str, &Secret)>;

    /// Returns all errors in the parameters that can be found without reading files.
    fn invalid(&self) -> Vec<Refusal> {
        Vec::new()
    }

    /// Returns warnings about parameters that are valid.
    fn warnings(&self) -> Vec<Refusal> {
        Vec::new()
    }

    /// Whether the kind has a form for messages about an event.
    fn takes(&self, _what: What) -> bool {
        true
    }

    /// Makes the data to send for a message. `receipt` is the receipt that the channel gave for the message about the beginning of the same run.
    ///
    /// # Errors
    /// A secret is missing, or is not valid as an address. The error is a clause for people, without the secret.
    fn parcel(&self, message: &Message, secrets: &Opened, receipt: Option<&str>) -> Result<Parcel, String>;

    /// Returns the part of a good answer that later messages need (the receipt); `None` if they need none.
    fn receipt(&self, _body: &[u8]) -> Option<String> {
        None
    }
}

/// The data to send, with the way in which it is sent.
#[derive(Clone, PartialEq, Eq)]
pub enum Parcel {
    /// An HTTP request.
    Http(Box<HttpProbe>),
    /// Datagrams to a host and port.
    Udp {
        /// The host and port.
        to: String,
        /// The datagrams.
        datagrams: Vec<Vec<u8>>,
    },
    /// Bytes on a TCP connection to a host and port.
    Tcp {
        /// The host and port.
        to: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A message by SMTP.
    Mail(Box<Mail>),
}

/// Prints only the way and none of the data, because addresses may be secrets.
impl std::fmt::Debug for Parcel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Http(_) => "Http",
            Self::Udp { .. } => "Udp",
            Self::Tcp { .. } => "Tcp",
            Self::Mail(_) => "Mail",
        })
    }
}

/// Returns a POST of JSON. `ca_file` has authorities to trust instead of the system's.
pub(crate) fn post(url: &str, body: &serde_json::Value, ca_file: Option<&String>) -> HttpProbe {
    let headers = [("Content-Type".to_owned(), "application/json".to_owned())];
    HttpProbe {
        method: "POST".to_owned(),
        headers: headers.into(),
        body: Some(body.to_string()),
        ca_file: ca_file.cloned(),
        ..HttpProbe::get(url)
    }
}

/// Refuses a text that is no address, and an address with a user, a query or a fragment. These parts may contain secrets, which the file would have in
/// clear. Also, paths are appended to the address.
pub(crate) fn base(url: &str, example: &str) -> Vec<Refusal> {
    let field = || Field::request(&["url"]);
    let help = format!("url = \"{example}\"");
    if let Err(refusal) = HttpTarget::new(url) {
        return vec![Refusal { help, ..refusal }];
    }
    if url.contains(['@', '?', '#']) {
        let what = "`url` has a user, a query or a fragment";
        return vec![Refusal::new(field(), what, "more than an address", help)];
    }
    Vec::new()
}

/// Refuses the value of a key if it is no host and port.
pub(crate) fn place(key: &str, text: &str, example: &str) -> Option<Refusal> {
    let refusal = TcpProbe::opens(text).parsed().err()?;
    Some(Refusal { field: Field::request(&[key]), help: format!("{key} = \"{example}\""), ..refusal })
}
