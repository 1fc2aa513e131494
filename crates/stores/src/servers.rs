//! The servers of a store: how each is connected to, and which part of the time each has.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use firedrill_probe::{
    Terms,
    client::{Cause, Connector, Failure, Phases, Server, Told, handshake, resolver, share},
};
use firedrill_wire::probe::{Connection, Refusal, StoreServer};
use tokio::time::{Instant, timeout_at};

/// Returns the servers that a probe names.
pub(crate) fn servers(
    to: Vec<StoreServer<'_>>,
    ca_file: Option<&str>,
    terms: &Terms<'_>,
) -> Result<Vec<Server>, Vec<Refusal>> {
    let Terms { spec, reads } = *terms;
    let opened = if spec.connection == Connection::Reuse { 0.0 } else { spec.rate };
    let server = |one: StoreServer<'_>| {
        let connector = Connector::new(resolver(spec, one.host, one.port)?, opened);
        Ok(Server { connector, tls: handshake(one.name, ca_file, &[], reads)? })
    };
    to.into_iter().map(server).collect()
}

/// Returns the servers one after another, each with the end of its share of the time. The share is calculated when the server is asked for, of the
/// time that is left then.
pub(crate) fn shares(servers: &[Server], until: Instant) -> impl Iterator<Item = (&Server, Instant)> {
    servers.iter().enumerate().map(move |(at, server)| (server, share(until, servers.len() - at)))
}

/// A client of a store.
pub(crate) trait Opens: Sync {
    /// A connection.
    type Line: Send;

    /// Opens a connection to a server, which must have the wanted role.
    fn open(
        &self,
        server: &Server,
        until: Instant,
        phases: &mut Phases,
    ) -> impl Future<Output = Result<Self::Line, Failure>> + Send;

    /// Opens a connection to the first server that gives one. Only that server's phases are told.
    fn open_any(
        &self,
        servers: &[Server],
        until: Instant,
        phases: &mut Phases,
    ) -> impl Future<Output = Result<Self::Line, Failure>> + Send {
        async move {
            let mut worst = Failure::Bad(Cause::Unreachable);
            for (server, share) in shares(servers, until) {
                let mut own = Phases::default();
                match within(share, self.open(server, share, &mut own)).await {
                    Ok(line) => {
                        *phases = own;
                        return Ok(line);
                    }
                    Err(why) => worst = telling(worst, why),
                }
            }
            Err(worst)
        }
    }
}

/// A client of a store that takes numbered records.
pub(crate) trait HasAuthority: Opens {
    /// Refuses a connection to a server that does not say that writes are its own to take.
    fn must_have_authority(&self, line: &mut Self::Line) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Opens a connection to the one server that says that writes are its own to take. Servers that are not there do not count: what they have
    /// is not the store's as long as another one has the authority.
    fn open_authority(
        &self,
        servers: &[Server],
        until: Instant,
    ) -> impl Future<Output = Result<Self::Line, Failure>> + Send {
        async move {
            let mut authority = None;
            let mut worst = Failure::Bad(Cause::Unreachable);
            for (server, share) in shares(servers, until) {
                let mut phases = Phases::default();
                let opened = within(share, async {
                    let mut line = self.open(server, share, &mut phases).await?;
                    self.must_have_authority(&mut line).await?;
                    Ok(line)
                });
                match opened.await {
                    Ok(_) if authority.is_some() => return Err(Told::SeveralPrimaries.into()),
                    Ok(line) => authority = Some(line),
                    Err(why) => worst = telling(worst, why),
                }
            }
            authority.ok_or(worst)
        }
    }
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

/// The connections that are kept between requests, if connections are used again. The first error throws one away. Requests that come while all
/// are in use open their own.
pub(crate) struct Kept<L> {
    /// The maximum number of connections that are kept.
    most: usize,
    /// A connection that was not used for this long is closed.
    idle: Duration,
    /// The connections that are not in use, the one that was used last at the end.
    lines: Mutex<Vec<(Instant, L)>>,
}

/// A kept connection that was not used for this long, and for the time of [`IDLE_REQUESTS`] requests, is closed.
const IDLE: Duration = Duration::from_secs(30);
/// See [`IDLE`].
const IDLE_REQUESTS: f64 = 2.0;

/// The most connections that are kept for writes, which come while others are under way.
const WRITERS: usize = 16;

impl<L> Kept<L> {
    /// Returns it without a connection. It keeps one at most, and none if the probe does not use connections again.
    pub(crate) fn new(terms: &Terms<'_>) -> Self {
        let idle =
            IDLE + Duration::try_from_secs_f64(IDLE_REQUESTS / terms.spec.rate).unwrap_or(Duration::MAX / 2);
        let most = usize::from(terms.spec.connection == Connection::Reuse);
        Self { most, idle, lines: Mutex::default() }
    }

    /// Returns one for writes, which keeps more connections. It has none yet.
    pub(crate) fn for_writes(&self) -> Self {
        Self { most: self.most * WRITERS, idle: self.idle, lines: Mutex::default() }
    }

    fn lines(&self) -> MutexGuard<'_, Vec<(Instant, L)>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the connection that was used last; `None` where there is none, or it was not used for too long.
    pub(crate) fn take(&self) -> Option<L> {
        let (since, line) = self.lines().pop()?;
        (since.elapsed() < self.idle).then_some(line)
    }

    /// Keeps a connection that is in order, or gives one back to be closed.
    pub(crate) fn keep(&self, line: L) -> Option<L> {
        if self.most == 0 {
            return Some(line);
        }
        let mut lines = self.lines();
        lines.push((Instant::now(), line));
        (lines.len() > self.most).then(|| lines.remove(0).1)
    }
}
