//! The servers of a store: how each is connected to, and which part of the time each has.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use firedrill_probe::{
    Terms,
    client::{Cause, Connector, Failure, Handshake, Resolver, Told, tls_builder},
};
use firedrill_wire::probe::{Connection, Field, Refusal};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::rustls::pki_types::ServerName;

/// One server.
pub(crate) struct Server {
    pub(crate) connector: Connector,
    pub(crate) tls: Option<Handshake>,
}

/// The values of a probe that are about TLS.
pub(crate) struct Tls<'p> {
    pub(crate) on: bool,
    pub(crate) ca_file: Option<&'p str>,
    pub(crate) server_name: Option<&'p str>,
}

/// Returns the servers of these hosts and ports.
pub(crate) fn servers(
    to: &[(&str, u16)],
    field: &Field,
    tls: &Tls<'_>,
    terms: &Terms<'_>,
) -> Result<Vec<Server>, Vec<Refusal>> {
    to.iter().map(|(host, port)| server(host, *port, field, tls, terms).map_err(|one| vec![one])).collect()
}

fn server(host: &str, port: u16, field: &Field, tls: &Tls<'_>, terms: &Terms<'_>) -> Result<Server, Refusal> {
    let resolver = Resolver::new(host, port, terms.names).ok_or_else(|| {
        let what = format!("the fleet names `{host}` and gives it no address");
        let help = "give it one, or take it from the fleet's names";
        Refusal::new(field.clone(), what, "no address", help)
    })?;
    let opened = if terms.connection == Connection::Reuse { 0.0 } else { terms.rate };
    Ok(Server { connector: Connector::new(resolver, opened), tls: handshake(host, tls, terms)? })
}

fn handshake(host: &str, tls: &Tls<'_>, terms: &Terms<'_>) -> Result<Option<Handshake>, Refusal> {
    if !tls.on {
        return Ok(None);
    }
    let name = tls.server_name.unwrap_or(host);
    let name = ServerName::try_from(name.to_owned()).map_err(|_| {
        let what = format!("no certificate can name the host `{name}`");
        Refusal::new(Field::request(&["tls"]), what, "not a host", "give its name by `server_name`")
    })?;
    let config = tls_builder(tls.ca_file, "tls", terms.reads)?.with_no_client_auth();
    Ok(Some(Handshake::new(config, name)))
}

/// Returns the servers one after another, each with the end of its share of the time that is left when it is asked for.
pub(crate) fn shares(servers: &[Server], until: Instant) -> impl Iterator<Item = (&Server, Instant)> {
    servers.iter().enumerate().map(move |(at, server)| {
        let others = u32::try_from(servers.len() - at).unwrap_or(u32::MAX);
        let now = Instant::now();
        (server, now + until.saturating_duration_since(now) / others)
    })
}

/// Gives up when the time is over.
pub(crate) async fn within<T>(
    until: Instant,
    what: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout_at(until, what).await.unwrap_or(Err(Cause::Timeout.into()))
}

/// Returns the failure that says more, of two.
pub(crate) const fn telling(one: Failure, other: Failure) -> Failure {
    if rank(other) > rank(one) { other } else { one }
}

/// The failure that says more ranks higher: a server that spoke says more than one that is not there.
const fn rank(failure: Failure) -> u8 {
    match failure {
        Failure::Bad(Cause::Unreachable) => 0,
        Failure::Vantage => 1,
        Failure::Bad(Cause::Refused) => 2,
        Failure::Bad(Cause::Timeout) => 3,
        Failure::Bad(Cause::Store(Told::NoMaster)) => 4,
        Failure::Bad(Cause::Store(_)) => 5,
        Failure::Bad(_) => 4,
    }
}

/// The connection that is kept between requests, if connections are used again. One at most, which the first error throws away. While it is in
/// use, other requests open their own.
pub(crate) struct Kept<L> {
    reuse: bool,
    idle: Duration,
    line: Mutex<Option<(Instant, L)>>,
}

/// A kept connection that was not used for this long, and for two requests' time, is closed.
const IDLE: Duration = Duration::from_secs(30);

impl<L> Kept<L> {
    pub(crate) fn new(terms: &Terms<'_>) -> Self {
        let idle = IDLE + Duration::try_from_secs_f64(2.0 / terms.rate).unwrap_or(Duration::MAX / 2);
        Self { reuse: terms.connection == Connection::Reuse, idle, line: Mutex::new(None) }
    }

    pub(crate) fn take(&self) -> Option<L> {
        let (since, line) = self.line.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        (since.elapsed() < self.idle).then_some(line)
    }

    /// Keeps a connection that is in order, or gives it back to be closed.
    pub(crate) fn keep(&self, line: L) -> Option<L> {
        if !self.reuse {
            return Some(line);
        }
        let before = self.line.lock().unwrap_or_else(PoisonError::into_inner).replace((Instant::now(), line));
        before.map(|(_, line)| line)
    }
}
