//! A TCP connection that opens. Sends nothing.

use firedrill_wire::probe::{Connection, ProbeSpec, TcpProbe};
use tokio::time::Instant;

use super::resolver;
use crate::{
    connect::Connector,
    outcome::{Failure, Phases},
    refusal::{Field, Refusal, note},
    resolve::host_and_port,
};

/// A TCP probe.
pub(crate) struct Tcp {
    connector: Connector,
}

/// The host and the port that it connects to.
pub(super) fn destination(probe: &TcpProbe) -> Option<(String, u16)> {
    host_and_port(&probe.address).ok().map(|(host, port)| (host.to_owned(), port))
}

impl Tcp {
    /// Checks the address.
    pub(crate) fn new(spec: &ProbeSpec, probe: &TcpProbe) -> Result<Self, Vec<Refusal>> {
        let mut wrong = Vec::new();
        let address = host_and_port(&probe.address).map_err(|why| {
            let what = format!("`{}` is not host:port: {why}", probe.address);
            Refusal::new(Field::Address, what, "not host:port", "for example \"db1:5432\" or \"[::1]:5432\"")
        });
        let resolver = note(address, &mut wrong)
            .and_then(|(host, port)| note(resolver(spec, Field::Address, host, port), &mut wrong));
        if spec.connection == Connection::Reuse {
            wrong.push(Refusal::new(
                Field::Connection,
                "a TCP probe opens a connection each time, and has none to use again",
                "cannot be used again",
                "write \"new\", or leave it out",
            ));
        }
        match resolver {
            Some(resolver) if wrong.is_empty() => Ok(Self { connector: Connector::new(resolver, spec.rate) }),
            _ => Err(wrong),
        }
    }

    /// Good once the connection is open.
    pub(crate) async fn ask(&self, until: Instant) -> Result<Phases, Failure> {
        let mut phases = Phases::default();
        self.connector.open(until, &mut phases).await?;
        Ok(phases)
    }
}
