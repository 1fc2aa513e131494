//! A TCP connection that opens. Sends nothing.

use firedrill_wire::probe::{ProbeSpec, Refusal, TcpProbe};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::{
    ask::{Ask, Due, Make, resolver},
    connect::Connector,
    outcome::{Failure, Phases},
    reads::Reads,
};

/// A TCP probe.
struct Tcp {
    connector: Connector,
}

impl Make for TcpProbe {
    fn unreadable(&self, _spec: &ProbeSpec, _reads: &dyn Reads) -> Vec<Refusal> {
        Vec::new()
    }

    fn make(&self, spec: &ProbeSpec, _reads: &dyn Reads) -> Result<Box<dyn Ask>, Vec<Refusal>> {
        let (host, port) = self.parsed().map_err(|refusal| vec![refusal])?;
        let resolver = resolver(spec, host, port)?;
        Ok(Box::new(Tcp { connector: Connector::new(resolver, spec.rate) }))
    }
}

impl Ask for Tcp {
    /// Good once the connection is open.
    fn ask(&self, _due: Due, until: Instant) -> BoxFuture<'_, Result<Phases, Failure>> {
        Box::pin(async move {
            let mut phases = Phases::default();
            self.connector.open(until, &mut phases).await?;
            Ok(phases)
        })
    }
}
