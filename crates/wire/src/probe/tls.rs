//! `tls`: a TLS handshake, and the time for which the server's certificate is still good.

use rustls_pki_types::ServerName;
use serde::{Deserialize, Serialize};

use super::{
    address::destination,
    kind::{About, Connections, Form, Hides, Kind, Reach, Shows},
    refused::{Field, Refusal, note},
    secure::{NO_SECRET, SECRET, Secure, file, read},
};
use crate::Span;

/// A TLS handshake with a server whose certificate is accepted: signed by an authority that is trusted, in date, and of the right name.
/// Nothing is sent over the connection. Protocols that begin without TLS (`STARTTLS`) are not spoken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsProbe {
    /// `host:port`.
    pub address: String,
    /// The name that is asked for, and that the server's certificate must have; if absent, the host of `address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// A PEM file, on the vantage, of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// A PEM file, on the vantage, of a client's certificate and those between it and its authority, in this order. With it a request
    /// ends the connection after the handshake and waits until the server does so, too: by TLS 1.3 a server says only then that it
    /// refuses the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<String>,
    /// A PEM file, on the vantage, of the key of `cert_file`. It is a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
    /// The shortest time that the server's own certificate must still be good for. If it expires earlier, the request is bad. Those of
    /// its authorities do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<Span>,
}

impl TlsProbe {
    fn to(&self) -> Result<(&str, u16), Refusal> {
        destination(&self.address, ("shop", 443))
    }

    fn secure(&self) -> Secure<'_> {
        Secure { on: true, ca_file: self.ca_file.as_deref(), server_name: self.server_name.as_deref() }
    }

    /// Returns the host, without brackets, the port, and the name that the certificate must have.
    ///
    /// # Errors
    /// All values that are not valid.
    pub fn checked(&self) -> Result<(&str, u16, ServerName<'static>), Vec<Refusal>> {
        let mut wrong = Vec::new();
        let to = note(self.to(), &mut wrong);
        wrong.extend(self.secure().refusals(to.map_or("localhost", |(host, _)| host), &["address"]));
        wrong.extend(file("cert_file", self.cert_file.as_deref()));
        wrong.extend(file("key_file", self.key_file.as_deref()));
        let half = match (&self.cert_file, &self.key_file) {
            (Some(_), None) => Some(("cert_file", "key_file")),
            (None, Some(_)) => Some(("key_file", "cert_file")),
            _ => None,
        };
        wrong.extend(half.map(|(key, other)| {
            let what = format!("`{key}` without `{other}`: a client shows a certificate and proves by its key that it is its own");
            Refusal::new(Field::request(&[key]), what, "alone", format!("give `{other}` too, or leave `{key}` out"))
        }));
        if self.expires_in == Some(Span::ZERO) {
            let what = "`expires_in` is no time: a certificate that is accepted has not expired";
            let help = "for example \"14d\", or leave it out";
            wrong.push(Refusal::new(Field::request(&["expires_in"]), what, "always so", help));
        }
        match to {
            Some((host, port)) if wrong.is_empty() => {
                let name = self.secure().name(host, &["address"]).map_err(|refusal| vec![refusal])?;
                Ok((host, port, name))
            }
            _ => Err(wrong),
        }
    }
}

impl Form for TlsProbe {
    const EXAMPLE: &'static str = "{ address = \"edge:443\" }";
    const HIDES: &'static [(&'static str, Hides)] = &[];
    const AS_IT_IS: &'static [&'static str] = &[];

    fn without_secrets(&self) -> Self {
        self.clone()
    }
}

impl Kind for TlsProbe {
    fn about(&self) -> About<'_> {
        let Self { address, server_name, ca_file: _, cert_file, key_file, expires_in } = self;
        let named = server_name.as_ref().map(|name| format!(" as {name}")).unwrap_or_default();
        let lasts = expires_in.map(|time| format!(", certificate good for {time}")).unwrap_or_default();
        let mut reads = self.secure().reads();
        reads.extend(cert_file.as_deref().map(|path| read("cert_file", path, NO_SECRET)));
        reads.extend(key_file.as_deref().map(|path| read("key_file", path, SECRET)));
        About {
            asks: format!("tls {address}{named}{lasts}"),
            measures: format!("TLS handshakes with {address}{named}"),
            reach: Reach {
                field: Field::request(&["address"]),
                text: address,
                to: self.to().ok().map(|(host, port)| (host.to_owned(), port)),
            },
            shows: Shows::Opens,
            connections: Connections::New("a TLS probe makes a handshake each time, and keeps no connection"),
            reads,
            secrets: Vec::new(),
            fills: Vec::new(),
            clear: Vec::new(),
        }
    }

    fn invalid(&self) -> Vec<Refusal> {
        self.checked().err().unwrap_or_default()
    }

    fn vain(&self) -> Vec<Refusal> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_that_cannot_be_is_told_once() {
        for (json, why) in [
            (r#"{"address":"edge"}"#, "not host:port"),
            (r#"{"address":"edge:443","server_name":"a b"}"#, "no certificate"),
            (r#"{"address":"-:443"}"#, "no certificate"),
            (r#"{"address":"edge:443","ca_file":""}"#, "`ca_file`"),
            (r#"{"address":"edge:443","cert_file":"a"}"#, "without `key_file`"),
            (r#"{"address":"edge:443","key_file":"a"}"#, "without `cert_file`"),
            (r#"{"address":"edge:443","cert_file":"","key_file":"b"}"#, "`cert_file`"),
            (r#"{"address":"edge:443","cert_file":"a","key_file":""}"#, "`key_file`"),
            (r#"{"address":"edge:443","expires_in":"0s"}"#, "no time"),
        ] {
            let probe: TlsProbe = serde_json::from_str(json).expect(json);
            let said: Vec<String> = probe.invalid().iter().map(ToString::to_string).collect();
            assert!(said.len() == 1 && said[0].contains(why), "{json}: {said:?}");
        }
    }

    #[test]
    fn its_files_are_told_and_the_key_is_a_secret() {
        let json = r#"{"address":"[::1]:443","server_name":"shop.example","ca_file":"/ca","cert_file":"/c","key_file":"/k","expires_in":"14d"}"#;
        let probe: TlsProbe = serde_json::from_str(json).expect("reads");
        let about = probe.about();
        assert_eq!(probe.invalid(), []);
        assert_eq!(about.reads.iter().map(|read| read.secret).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(about.reach.to, Some(("::1".to_owned(), 443)));
        assert_eq!(about.asks, "tls [::1]:443 as shop.example, certificate good for 14days");
    }
}
