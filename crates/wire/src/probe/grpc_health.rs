//! `grpc-health`: the health check that gRPC servers have in common.

use rustls_pki_types::ServerName;
use serde::{Deserialize, Serialize};

use super::{
    address::destination,
    kind::{About, Connections, Form, Hides, Kind, Reach, Shows},
    refused::{Field, Refusal, note},
    secure::Secure,
};

/// A call of `grpc.health.v1.Health/Check`, over a new connection by HTTP/2. It is good only if the server says `SERVING`. Other answers are
/// told by their names: `NOT_SERVING`, `SERVICE_UNKNOWN`, or the status of the call, such as `grpc UNIMPLEMENTED`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrpcHealthProbe {
    /// `host:port`.
    pub address: String,
    /// The service that is asked about, by its full name, such as `shop.v1.Checkout`; if absent, the server as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// Whether the connection is encrypted by TLS. Without it HTTP/2 is spoken from the first byte on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tls: bool,
    /// A PEM file, on the vantage, of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// The name that the server's certificate must have; if absent, the host of `address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

impl GrpcHealthProbe {
    /// The longest name of a service, in bytes.
    pub const SERVICE_MOST: usize = 1024;

    fn to(&self) -> Result<(&str, u16), Refusal> {
        destination(&self.address, ("checkout", 50051))
    }

    fn secure(&self) -> Secure<'_> {
        Secure { on: self.tls, ca_file: self.ca_file.as_deref(), server_name: self.server_name.as_deref() }
    }

    /// Returns the host, without brackets, the port, and the name that the certificate must have, if there is TLS.
    ///
    /// # Errors
    /// All values that are not valid.
    pub fn checked(&self) -> Result<(&str, u16, Option<ServerName<'static>>), Vec<Refusal>> {
        let mut wrong = Vec::new();
        let to = note(self.to(), &mut wrong);
        wrong.extend(self.secure().refusals(to.map_or("localhost", |(host, _)| host), &["address"]));
        let mut refuse = |what: String| {
            let help = "for example \"shop.v1.Checkout\", or leave it out for the server as a whole";
            wrong.push(Refusal::new(Field::request(&["service"]), what, "not a service", help));
        };
        if self.service.len() > Self::SERVICE_MOST {
            let (length, most) = (self.service.len(), Self::SERVICE_MOST);
            refuse(format!("the name of the service has {length} bytes; at most {most} are sent"));
        } else if self.service.chars().any(|c| c.is_control() || c.is_whitespace()) {
            refuse("no service has a name with spaces or control characters".to_owned());
        }
        match to {
            Some((host, port)) if wrong.is_empty() => {
                Ok((host, port, self.secure().name_if_on(host, &["address"])?))
            }
            _ => Err(wrong),
        }
    }
}

impl Form for GrpcHealthProbe {
    const EXAMPLE: &'static str = "{ address = \"edge:50051\" }";
    const HIDES: &'static [(&'static str, Hides)] = &[];
    const AS_IT_IS: &'static [&'static str] = &["service"];

    fn without_secrets(&self) -> Self {
        self.clone()
    }
}

impl Kind for GrpcHealthProbe {
    fn about(&self) -> About<'_> {
        let Self { address, service, tls, ca_file: _, server_name: _ } = self;
        let of = if service.is_empty() { address.clone() } else { format!("{service} at {address}") };
        let over = if *tls { " over TLS" } else { "" };
        About {
            asks: format!("grpc-health {of}{over}"),
            measures: format!("gRPC health of {of}"),
            reach: Reach {
                field: Field::request(&["address"]),
                text: address,
                to: self.to().ok().map(|(host, port)| (host.to_owned(), port)),
            },
            shows: Shows::Answers,
            connections: Connections::New("a gRPC health probe opens a connection each time, and keeps none"),
            reads: self.secure().reads(),
            secrets: Vec::new(),
            fills: Vec::new(),
            clear: Vec::new(),
        }
    }

    fn invalid(&self) -> Vec<Refusal> {
        self.checked().err().unwrap_or_default()
    }

    fn vain(&self) -> Vec<Refusal> {
        self.secure().vain()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_that_cannot_be_is_told_once() {
        let long = "x".repeat(GrpcHealthProbe::SERVICE_MOST + 1);
        for (json, why) in [
            (r#"{"address":"edge"}"#, "not host:port"),
            (r#"{"address":"edge:1","service":"a b"}"#, "spaces"),
            (&format!(r#"{{"address":"edge:1","service":"{long}"}}"#), "at most 1024"),
            (r#"{"address":"edge:1","tls":true,"server_name":""}"#, "no certificate"),
            (r#"{"address":"edge:1","tls":true,"ca_file":""}"#, "`ca_file`"),
        ] {
            let probe: GrpcHealthProbe = serde_json::from_str(json).expect(json);
            let said: Vec<String> = probe.invalid().iter().map(ToString::to_string).collect();
            assert!(said.len() == 1 && said[0].contains(why), "{json}: {said:?}");
        }
        let json = r#"{"address":"edge:1","service":"shop.v1.Checkout","ca_file":"/ca"}"#;
        let probe: GrpcHealthProbe = serde_json::from_str(json).expect(json);
        assert_eq!((probe.invalid().len(), probe.vain().len()), (0, 1));
        assert_eq!(probe.about().asks, "grpc-health shop.v1.Checkout at edge:1");
    }
}
