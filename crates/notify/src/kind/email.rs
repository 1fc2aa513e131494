//! `email`: messages to mailboxes, through a mail server that accepts mail from programs (submission, RFC 6409).

mod mailbox;
#[cfg(test)]
mod tests;
mod text;

use std::net::IpAddr;

use firedrill_wire::probe::{Field, Refusal, Secret, TcpProbe};
use serde::{Deserialize, Serialize};

use super::{Kind, Parcel, place};
use crate::{
    mail::{Mail, Tls},
    message::Message,
    secrets::Opened,
};
use mailbox::Mailbox;

/// Maximum number of recipients. RFC 5321 requires servers to accept 100, but some accept fewer.
const TO_MOST: usize = 50;

/// Mailboxes, and a mail server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// The host and port of the mail server, such as `"smtp.example:587"`.
    pub server: String,
    /// TLS on the connection.
    #[serde(default)]
    pub tls: Tls,
    /// A PEM file of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// The user name, with `password`. Without both, there is no login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Secret>,
    /// The password of `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The sender: `"firedrill@example.com"`, or `"Firedrill <firedrill@example.com>"`.
    pub from: String,
    /// The recipients, in the same form; 50 at most. All see each other.
    pub to: Vec<String>,
}

impl Email {
    /// Whether the server is on this machine.
    fn is_here(&self) -> bool {
        let parsed = TcpProbe::opens(self.server.as_str());
        let Ok((host, _)) = parsed.parsed() else { return false };
        host.eq_ignore_ascii_case("localhost")
            || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }

    /// Whether messages and the login cross a network unencrypted.
    fn is_in_clear(&self) -> bool {
        self.tls == Tls::None && !self.is_here()
    }
}

/// Returns the refusal of a key's value.
fn refused(key: &str, what: impl Into<String>, label: &'static str, help: impl Into<String>) -> Refusal {
    Refusal::new(Field::request(&[key]), what, label, help)
}

impl Kind for Email {
    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        let both = [("user", &self.user), ("password", &self.password)];
        both.into_iter().filter_map(|(key, secret)| Some((key, secret.as_ref()?))).collect()
    }

    fn invalid(&self) -> Vec<Refusal> {
        let mut refusals: Vec<Refusal> =
            place("server", &self.server, "smtp.example:587").into_iter().collect();
        let is_server_valid = refusals.is_empty();
        match (&self.user, &self.password) {
            (Some(_), None) => {
                let help = "password = { secret_file = \"/etc/firedrill/secrets/mail-password\" }";
                refusals.push(refused("user", "`user` has no `password`", "half a login", help));
            }
            (None, Some(_)) => {
                let help = "user = { secret_file = \"/etc/firedrill/secrets/mail-user\" }";
                refusals.push(refused("password", "`password` has no `user`", "half a login", help));
            }
            _ => {}
        }
        if self.tls == Tls::None && self.ca_file.is_some() {
            let what = "`ca_file` has no meaning without TLS";
            refusals.push(refused("ca_file", what, "nothing to verify", "leave `ca_file` out, or use TLS"));
        }
        if is_server_valid && self.is_in_clear() && self.password.is_some() {
            let what = "the password would cross the network in clear";
            let help = "tls = \"starttls\" (port 587) or \"implicit\" (port 465); without TLS only for a server on localhost";
            refusals.push(refused("tls", what, "a password without TLS", help));
        }
        if let Err(why) = Mailbox::parse(&self.from) {
            let what = format!("`from` is no mailbox: {why}");
            refusals.push(refused(
                "from",
                what,
                "not a mailbox",
                "from = \"Firedrill <firedrill@example.com>\"",
            ));
        }
        if self.to.is_empty() || self.to.len() > TO_MOST {
            let what = format!("`to` has {} recipients", self.to.len());
            let help = format!("1 to {TO_MOST}; the address of a mailing list reaches more people");
            refusals.push(refused("to", what, "too few or too many", help));
        }
        for (index, recipient) in self.to.iter().enumerate() {
            if let Err(why) = Mailbox::parse(recipient) {
                let field = Field::request(&["to", &index.to_string()]);
                let help = "to = [\"ops@example.com\", \"Bob <bob@example.com>\"]";
                refusals.push(Refusal::new(
                    field,
                    format!("an entry of `to` is no mailbox: {why}"),
                    "not a mailbox",
                    help,
                ));
            }
        }
        refusals
    }

    fn warnings(&self) -> Vec<Refusal> {
        let what = "messages cross the network in clear, and nobody verifies the server";
        let help = "tls = \"starttls\" (port 587) or \"implicit\" (port 465), if the server has it";
        // With a password this is an error (`invalid`) and no warning.
        (self.is_in_clear() && self.password.is_none())
            .then(|| refused("tls", what, "no TLS", help))
            .into_iter()
            .collect()
    }

    fn parcel(&self, message: &Message, secrets: &Opened, _: Option<&str>) -> Result<Parcel, String> {
        let mailbox = |text| Mailbox::parse(text).map_err(|why| format!("a mailbox cannot be used: {why}"));
        let from = mailbox(&self.from)?;
        let to = self.to.iter().map(|recipient| mailbox(recipient)).collect::<Result<Vec<_>, _>>()?;
        let login = match (&self.user, &self.password) {
            (None, None) => None,
            _ => Some((secrets.text("user")?.to_owned(), secrets.text("password")?.to_owned())),
        };
        Ok(Parcel::Mail(Box::new(Mail {
            server: self.server.clone(),
            tls: self.tls,
            ca_file: self.ca_file.clone(),
            login,
            from: from.address.to_owned(),
            to: to.iter().map(|recipient| recipient.address.to_owned()).collect(),
            text: text::text(message, from, &to),
        })))
    }
}
