//! The data of a message by e-mail, with the server and the login. Sends nothing.

use serde::{Deserialize, Serialize};

/// TLS on the connection to a mail server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// TLS begins with the command STARTTLS, usually on port 587. To a server that does not offer it, nothing is sent.
    #[default]
    Starttls,
    /// TLS begins with the connection, usually on port 465.
    Implicit,
    /// Nothing is encrypted. A password is sent only to a server on this machine.
    None,
}

/// A message by e-mail, and the way to its server.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_debug_implementations, reason = "it holds secrets")]
pub struct Mail {
    /// The server's host and port.
    pub server: String,
    /// TLS on the connection.
    pub tls: Tls,
    /// A PEM file of authorities to trust instead of the system's.
    pub ca_file: Option<String>,
    /// The user name and the password; `None` without a login.
    pub login: Option<(String, String)>,
    /// The sender's address.
    pub from: String,
    /// The recipients' addresses.
    pub to: Vec<String>,
    /// The message: its header and its body, in ASCII.
    pub text: Vec<u8>,
}
