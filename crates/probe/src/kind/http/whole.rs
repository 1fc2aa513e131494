//! Sends single requests and reads their whole answers. For callers that need the answer and measure nothing.

use std::{collections::BTreeMap, net::IpAddr};

use firedrill_wire::probe::{HttpProbe, HttpTarget, Refusal};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::{
    exchange::{Broken, Line},
    request::Template,
};
use crate::{
    connect::Connector,
    outcome::{Cause, Failure, Phases, of_io},
    reads::Reads,
    resolve::Resolver,
    tls,
};

/// The way to a server.
pub(crate) struct Way {
    connector: Connector,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Way {
    /// Returns the way to the server that a request names. Sends nothing.
    ///
    /// # Errors
    /// All that is missing or unreadable on this machine.
    pub(crate) fn new(
        request: &HttpProbe,
        names: &BTreeMap<String, Vec<IpAddr>>,
        reads: &dyn Reads,
    ) -> Result<Self, Vec<Refusal>> {
        Self::opening(0.0, request, names, reads)
    }

    /// Returns the way for `each_second` new connections a second.
    ///
    /// # Errors
    /// All that is missing or unreadable on this machine.
    pub(crate) fn opening(
        each_second: f64,
        request: &HttpProbe,
        names: &BTreeMap<String, Vec<IpAddr>>,
        reads: &dyn Reads,
    ) -> Result<Self, Vec<Refusal>> {
        let HttpTarget { host, port, name, .. } = request.parsed()?.target;
        let no_address = || {
            let what = format!("the fleet names `{host}` and gives it no address");
            let field = firedrill_wire::probe::Field::request(&["url"]);
            vec![Refusal::new(field, what, "no address", "give it one, or take it from the fleet's names")]
        };
        let resolver = Resolver::new(&host, port, names).ok_or_else(no_address)?;
        let tls = match name {
            Some(name) => {
                let config =
                    tls::config(request.ca_file.as_deref(), tls::FULL, reads).map_err(|one| vec![one])?;
                Some((TlsConnector::from(config), name))
            }
            None => None,
        };
        Ok(Self { connector: Connector::new(resolver, each_second), tls })
    }

    /// Sends a request over a connection of its own, and reads the whole answer, of at most `most` bytes.
    pub(crate) async fn ask(
        &self,
        template: &Template,
        until: Instant,
        most: usize,
    ) -> Result<(http::response::Parts, Vec<u8>), Failure> {
        let mut line = self.open(until).await?;
        line.whole(template.request(), most).await.map_err(Broken::failure)
    }

    /// Opens a connection. Writes nothing of a request.
    pub(super) async fn open(&self, until: Instant) -> Result<Line, Failure> {
        let mut phases = Phases::default();
        let stream = self.connector.open(until, &mut phases).await?;
        match &self.tls {
            None => Line::new(Box::new(TokioIo::new(stream))).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await.map_err(|why| {
                    let of_tls =
                        why.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>);
                    if of_tls { Failure::from(Cause::Tls) } else { of_io(&why) }
                })?;
                Line::new(Box::new(TokioIo::new(stream))).await
            }
        }
    }
}
