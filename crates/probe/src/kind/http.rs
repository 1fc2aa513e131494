//! An HTTP/1.1 request, plain or over TLS; every phase timed. Follows no redirects and keeps no cookies.
//!
//! A kept connection that the server closed while it was idle is replaced once, if nothing of the request was written
//! to it. Once anything was written, a cut connection is a bad answer: a request is never silently sent twice.

pub(crate) mod client;
mod echo;
mod exchange;
pub(crate) mod fetch;
mod filled;
mod ids;
pub(crate) mod request;
mod wanted;
pub(crate) mod whole;

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use firedrill_wire::probe::{Connection, HttpProbe, HttpTarget, ProbeSpec, Refusal};
use futures_util::future::BoxFuture;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::TlsConnector;

use self::{
    exchange::{Broken, Line},
    request::Template,
    wanted::Wanted,
};
use crate::{
    ask::{Ask, Due, Make, Means, resolver},
    clock::boot_us,
    connect::Connector,
    outcome::{Cause, Failure, Phases, of_io},
    secret, tls,
};

/// A kept connection that was not used for this long, and for the time of [`IDLE_REQUESTS`] requests, is closed.
const IDLE: Duration = Duration::from_secs(30);
/// See [`IDLE`].
const IDLE_REQUESTS: f64 = 2.0;

/// An HTTP probe.
struct Http {
    connector: Connector,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    template: Template,
    wanted: Wanted,
    reuse: bool,
    idle: Duration,
    kept: Mutex<VecDeque<(Instant, Line)>>,
}

impl Make for HttpProbe {
    fn unreadable(&self, spec: &ProbeSpec, Means { reads, .. }: Means<'_>) -> Vec<Refusal> {
        let mut wrong = Vec::new();
        if HttpTarget::new(&self.url).is_ok_and(|target| target.name.is_some()) {
            let reuse = spec.connection == Connection::Reuse;
            wrong.extend(tls::config(self.ca_file.as_deref(), reuse, reads).err());
        }
        wrong.extend(self.bearer.as_ref().and_then(|bearer| secret::bearer(bearer, reads).err()));
        wrong.extend(request::unreadable(self, reads));
        wrong
    }

    fn make(&self, spec: &ProbeSpec, Means { reads, .. }: Means<'_>) -> Result<Box<dyn Ask>, Vec<Refusal>> {
        let one = |refusal| vec![refusal];
        let parsed = self.parsed()?;
        let reuse = spec.connection == Connection::Reuse;
        let target = &parsed.target;
        let resolver = resolver(spec, &target.host, target.port)?;
        let tls = match target.name.clone() {
            Some(name) => {
                let config = tls::config(self.ca_file.as_deref(), reuse, reads).map_err(one)?;
                Some((TlsConnector::from(config), name))
            }
            None => None,
        };
        Ok(Box::new(Http {
            connector: Connector::new(resolver, if reuse { 0.0 } else { spec.rate }),
            tls,
            wanted: Wanted::new(self, parsed.matches.clone()),
            template: Template::new(spec, self, parsed, reads).map_err(one)?,
            reuse,
            idle: IDLE + Duration::try_from_secs_f64(IDLE_REQUESTS / spec.rate).unwrap_or(Duration::MAX / 2),
            kept: Mutex::default(),
        }))
    }
}

impl Ask for Http {
    fn ask(&self, _due: Due, until: Instant) -> BoxFuture<'_, Result<Phases, Failure>> {
        Box::pin(self.once(until))
    }
}

impl Http {
    /// Asks once. The request is good once the whole answer was read, up to 64 KiB of it, and is the wanted one.
    async fn once(&self, until: Instant) -> Result<Phases, Failure> {
        let mut phases = Phases::default();
        let mut request = self.template.request();
        if let Some(mut line) = self.take().await {
            match line.exchange(request, &self.wanted, &mut phases).await {
                Ok(reusable) => return Ok(self.done(line, reusable, phases)),
                Err(Broken::Unsent(again)) => request = *again,
                Err(Broken::Answered(cause)) => {
                    self.settle(line).await;
                    return Err(cause.into());
                }
                Err(Broken::Failed(failure)) => return Err(failure),
            }
        }
        let mut line = self.open(until, &mut phases).await?;
        match line.exchange(request, &self.wanted, &mut phases).await {
            Ok(reusable) => Ok(self.done(line, reusable, phases)),
            Err(Broken::Unsent(_)) => Err(Cause::Reset.into()),
            Err(Broken::Answered(cause)) => {
                self.settle(line).await;
                Err(cause.into())
            }
            Err(Broken::Failed(failure)) => Err(failure),
        }
    }

    async fn open(&self, until: Instant, phases: &mut Phases) -> Result<Line, Failure> {
        let stream: TcpStream = self.connector.open(until, phases).await?;
        let Some((connector, name)) = &self.tls else {
            return Line::new(Box::new(TokioIo::new(stream))).await;
        };
        let begun = boot_us();
        let stream = connector.connect(name.clone(), stream).await.map_err(|why| {
            let of_tls =
                why.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>);
            if of_tls { Cause::Tls.into() } else { of_io(&why) }
        })?;
        phases.tls = boot_us() - begun;
        Line::new(Box::new(TokioIo::new(stream))).await
    }

    /// Takes the connection that was used last, of the kept ones that the server has not closed.
    async fn take(&self) -> Option<Line> {
        loop {
            let (_, mut line) = self.kept().pop_back()?;
            if line.usable().await {
                return Some(line);
            }
        }
    }

    fn done(&self, line: Line, reusable: bool, phases: Phases) -> Phases {
        if self.reuse && reusable {
            self.keep(line);
        }
        phases
    }

    /// Keeps the connection of a bad answer as that of a good one, if the rest of the answer is there at once.
    async fn settle(&self, mut line: Line) {
        if self.reuse && line.usable().await {
            self.keep(line);
        }
    }

    fn keep(&self, line: Line) {
        let now = Instant::now();
        let mut kept = self.kept();
        kept.push_back((now, line));
        while kept.front().is_some_and(|(since, _)| now.duration_since(*since) > self.idle) {
            kept.pop_front();
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, VecDeque<(Instant, Line)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
