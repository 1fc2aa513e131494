//! `tcp`: a TCP connection that opens. Nothing is sent.

use serde::{Deserialize, Serialize};

use super::{
    address::host_and_port,
    kind::{About, Connections, Form, Hides, Kind, Reach, Shows},
    refused::{Field, Refusal},
};

/// A TCP connection that opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpProbe {
    /// `host:port`.
    pub address: String,
}

impl TcpProbe {
    /// Returns the host, without brackets, and the port.
    ///
    /// # Errors
    /// The address cannot be one.
    pub fn parsed(&self) -> Result<(&str, u16), Refusal> {
        host_and_port(&self.address).map_err(|why| {
            let what = format!("`{}` is not host:port: {why}", self.address);
            let help = "for example \"db1:5432\" or \"[::1]:5432\"";
            Refusal::new(Field::request(&["address"]), what, "not host:port", help)
        })
    }
}

impl Form for TcpProbe {
    const EXAMPLE: &'static str = "{ address = \"edge:80\" }";
    const HIDES: &'static [(&'static str, Hides)] = &[];
    const AS_IT_IS: &'static [&'static str] = &[];

    fn without_secrets(&self) -> Self {
        self.clone()
    }
}

impl Kind for TcpProbe {
    fn about(&self) -> About<'_> {
        let Self { address } = self;
        About {
            asks: format!("tcp {address}"),
            measures: format!("TCP connections to {address}"),
            reach: Reach {
                field: Field::request(&["address"]),
                text: address,
                to: self.parsed().ok().map(|(host, port)| (host.to_owned(), port)),
            },
            shows: Shows::Opens,
            connections: Connections::New(
                "a TCP probe opens a connection each time, and has none to use again",
            ),
            reads: Vec::new(),
            secrets: Vec::new(),
            fills: Vec::new(),
            clear: Vec::new(),
        }
    }

    fn invalid(&self) -> Vec<Refusal> {
        self.parsed().err().into_iter().collect()
    }

    fn vain(&self) -> Vec<Refusal> {
        Vec::new()
    }
}
