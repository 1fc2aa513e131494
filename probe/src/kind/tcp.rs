//! A TCP connection that opens. Sends nothing.

use firedrill_wire::probe::{Connection, ProbeSpec, TcpProbe};
use tokio::time::Instant;

use super::refuse;
use crate::{
    ProbeError,
    connect::Connector,
    outcome::{Failure, Phases},
    resolve::{Resolver, host_and_port},
};

/// A TCP probe.
pub(crate) struct Tcp {
    connector: Connector,
}

impl Tcp {
    /// Checks the address.
    pub(crate) fn new(spec: &ProbeSpec, probe: &TcpProbe) -> Result<Self, ProbeError> {
        let (host, port) =
            host_and_port(&probe.address).map_err(|why| refuse(spec, "address", &probe.address, why))?;
        if spec.connection == Connection::Reuse {
            return Err(refuse(
                spec,
                "connection",
                "reuse",
                "a TCP probe opens a connection each time; write \"new\"",
            ));
        }
        let resolver = Resolver::new(&spec.name, host, port, &spec.names)?;
        Ok(Self { connector: Connector::new(resolver, spec.rate) })
    }

    /// Good once the connection is open.
    pub(crate) async fn ask(&self, until: Instant) -> Result<Phases, Failure> {
        let mut phases = Phases::default();
        self.connector.open(until, &mut phases).await?;
        Ok(phases)
    }
}
