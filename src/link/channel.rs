//! An HTTP/2 connection to an agent, opened when needed and reopened after a break. Never sends a request twice.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::{
    LinkError, Trust,
    identity::Identity,
    reach::{Complaints, describe, open, patience},
    way::{self, Pauses, Persistence},
};
use crate::plan::model::{Reach, Way};

/// The target of a channel.
#[derive(Debug)]
pub(super) struct Route {
    /// The host's name, which the agent's certificate must have.
    pub(super) host: String,
    pub(super) reach: Reach,
    /// The way that several hosts share, such as a bastion; `None` for direct links.
    pub(super) via: Option<Way>,
    pub(super) identity: Arc<Identity>,
}

/// A connection that may not be open yet.
#[derive(Debug, Default)]
pub(super) struct Channel(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    None,
    /// The link is being opened. This continues when the caller gives up, so that the next call does not start over.
    Opening(Opening),
    Live(Live),
}

/// A link that is being opened. It is cancelled when the channel is dropped.
type Opening = Shared<BoxFuture<'static, Result<Live, Box<Unopened>>>>;

/// A link that could not be opened.
#[derive(Clone, Debug)]
struct Unopened {
    error: LinkError,
    /// Duration of the attempt, without the wait for a free place on the way.
    took: Duration,
    /// Whether another attempt is pointless: the name cannot be verified, or the program does not exist.
    hopeless: bool,
}

/// A connection that is, or was, up.
#[derive(Clone, Debug)]
pub(super) struct Live {
    send: SendRequest<Full<Bytes>>,
    /// The certificates of the agent, its own first.
    chain: Arc<Vec<CertificateDer<'static>>>,
    fate: Fate,
}

/// The reason why a connection ended, as far as it is known; complete only after the end.
#[derive(Clone, Debug)]
pub(super) struct Fate {
    /// The first error.
    first: Arc<OnceLock<Cause>>,
    /// The error output of the program that is the link, if it is one.
    complaints: Complaints,
}

/// The first error of a connection.
#[derive(Debug)]
enum Cause {
    /// One side does not trust the other.
    Trust(Trust),
    /// The stream failed or ended; with a description.
    Io(String),
}

impl Channel {
    /// Returns the connection; opens it if needed. Opening is retried for as long as `persistence` allows, because
    /// nothing was sent yet.
    pub(super) async fn live(&self, route: &Arc<Route>, persistence: Persistence) -> Result<Live, LinkError> {
        let limit = persistence.limit(&route.reach);
        let (mut pauses, mut spent) = (Pauses::new(), Duration::ZERO);
        loop {
            let opening = match &mut *self.state() {
                State::Live(live) if !live.send.is_closed() => return Ok(live.clone()),
                State::Opening(opening) => opening.clone(),
                state => {
                    let opening = begin(Arc::clone(route));
                    *state = State::Opening(opening.clone());
                    opening
                }
            };
            let opened = opening.clone().await;
            {
                // Several callers may wait for the same opening. The first of them stores the result.
                let mut state = self.state();
                if matches!(&*state, State::Opening(kept) if kept.ptr_eq(&opening)) {
                    *state = opened.as_ref().map_or(State::None, |live| State::Live(live.clone()));
                }
            }
            let unopened = match opened {
                Ok(live) => return Ok(live),
                Err(unopened) => unopened,
            };
            let pause = pauses.next();
            spent += unopened.took + pause;
            if !unopened.error.passing() || unopened.hopeless || spent > limit {
                return Err(unopened.error);
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a link in a separate task, as soon as its way has a free place.
fn begin(route: Arc<Route>) -> Opening {
    let opening = async move {
        let place = way::place(route.via.as_ref()).await;
        let begun = Instant::now();
        let limit = patience(&route.reach);
        let opened = timeout(limit, connect(&route)).await;
        drop(place);
        opened
            .unwrap_or_else(|_| {
                let why = format!("no connection within {}", humantime::format_duration(limit));
                Err(Box::new((unreachable(&route, why), false)))
            })
            .map_err(|failed| {
                let (error, hopeless) = *failed;
                Box::new(Unopened { error, took: begun.elapsed(), hopeless })
            })
    };
    let task = AbortOnDropHandle::new(tokio::spawn(opening));
    let ended = async move {
        // A panic of the task is passed on to the callers, which would otherwise wait for ever.
        task.await.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
    };
    ended.boxed().shared()
}

impl Live {
    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// Contains the request if it was not sent because the connection had ended before.
    pub(super) async fn send(
        mut self,
        route: &Route,
        call: &str,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Fate), (LinkError, Option<Request<Full<Bytes>>>)> {
        match self.send.try_send_request(request).await {
            Ok(response) => Ok((response, self.fate)),
            Err(mut error) => {
                let unsent = error.take_message();
                Err((self.fate.error(route, call, error.error()).await, unsent))
            }
        }
    }

    /// Checks that the agent's certificate is in date and that revocations are known, which calls that may do harm
    /// need.
    pub(super) fn check_harm(&self, route: &Route) -> Result<(), LinkError> {
        if let Err(why) = route.identity.revocations() {
            return Err(distrust(route, Trust::RevocationsUnknown(why.to_owned())));
        }
        let name = server_name(route)?;
        match route.identity.verifier.in_date(&self.chain, &name, UnixTime::now()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(distrust(route, Trust::AgentOutOfDate)),
            Err(error) => Err(distrust(route, Trust::Other(error.to_string()))),
        }
    }
}

/// Opens a link. The error comes with whether another attempt is pointless.
async fn connect(route: &Route) -> Result<Live, Box<(LinkError, bool)>> {
    let may_pass = |error| Box::new((error, false));
    let name = server_name(route).map_err(|error| Box::new((error, true)))?;
    let (stream, complaints) = open(&route.reach).await.map_err(|error| {
        let hopeless = matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput
        );
        Box::new((unreachable(route, error.to_string()), hopeless))
    })?;
    let connector = TlsConnector::from(Arc::clone(&route.identity.config));
    let tls = match connector.connect(name, stream).await {
        Ok(tls) => tls,
        Err(error) => {
            return Err(may_pass(match Trust::of(&error) {
                Some(trust) => distrust(route, trust),
                None => unreachable(route, complaints.with(plain(&error)).await),
            }));
        }
    };
    let (_, session) = tls.get_ref();
    if session.alpn_protocol() != Some(b"h2") {
        let why = "what listens there does not speak HTTP/2; is it an agent?".to_owned();
        return Err(may_pass(distrust(route, Trust::Other(why))));
    }
    let chain =
        session.peer_certificates().unwrap_or_default().iter().cloned().map(CertificateDer::into_owned);
    let chain = Arc::new(chain.collect());
    let fate = Fate { first: Arc::default(), complaints };
    let watched = Watched::new(tls, Arc::clone(&fate.first));
    // A ping each second that must be answered within a second: a link that was cut is noticed within two seconds.
    let (send, connection) = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(1))
        .keep_alive_timeout(Duration::from_secs(1))
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(watched))
        .await
        .map_err(|error| may_pass(unreachable(route, reason(&error))))?;
    let first = Arc::clone(&fate.first);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            let _ = first.set(Cause::Io(reason(&error)));
        }
    });
    Ok(Live { send, chain, fate })
}

impl Fate {
    /// Converts the error of a broken connection: either one side rejected the other's certificate, or the link broke.
    pub(super) async fn error(&self, route: &Route, call: &str, error: &hyper::Error) -> LinkError {
        let broken = |why: String| LinkError::Broken { host: route.host.clone(), call: call.to_owned(), why };
        match self.first.get() {
            Some(Cause::Trust(trust)) => distrust(route, trust.clone()),
            Some(Cause::Io(why)) => broken(self.complaints.with(why.clone()).await),
            None => broken(self.complaints.with(reason(error)).await),
        }
    }
}

/// Returns the name that the agent's certificate must have. The error is that the host's name is no DNS name.
pub(super) fn server_name(route: &Route) -> Result<ServerName<'static>, LinkError> {
    ServerName::try_from(route.host.clone()).map_err(|_| {
        unreachable(route, "the host's name is not a DNS name, so no certificate can prove it".to_owned())
    })
}

/// The error that no link could be opened.
fn unreachable(route: &Route, why: String) -> LinkError {
    LinkError::Unreachable { host: route.host.clone(), at: describe(&route.reach), why }
}

/// The error that one side does not trust the other.
fn distrust(route: &Route, trust: Trust) -> LinkError {
    LinkError::Tls { host: route.host.clone(), at: describe(&route.reach), trust }
}

/// Describes an error of a stream. An unexpected end, the most common error, gets a clearer text than the system's.
fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the connection was closed without an answer".to_owned(),
        _ => error.to_string(),
    }
}

/// Describes an error with its causes.
fn reason(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    // If a ping is not answered, hyper closes the connection without an error of the stream. Requests in flight then
    // end with "broken pipe" although no write failed.
    if error.is_timeout() || text.contains("broken pipe") {
        return "no answer to a ping within a second".to_owned();
    }
    text
}

/// A stream that keeps its first error. hyper hides that error, but it may be the reason why the agent rejects this client: TLS 1.3 rejects
/// clients only after the handshake.
///
/// After a failed write it hides the error and continues to read: hyper would stop at the first error, but the
/// agent's last data (an answer, or the reason of a rejection) can still be read. It reports the end of the stream
/// with a delay, because hyper drops an answer that arrives together with the end and was not read yet.
struct Watched<S> {
    inner: S,
    first: Arc<OnceLock<Cause>>,
    /// The first error of a write, after which nothing is written; `None` before.
    mute: Option<String>,
    /// The result that ended reading, and the time at which it is reported.
    end: Option<(io::Result<()>, Pin<Box<Sleep>>)>,
}

/// Delay between the end of reading and its report.
const LATER: Duration = Duration::from_millis(20);

impl<S> Watched<S> {
    const fn new(inner: S, first: Arc<OnceLock<Cause>>) -> Self {
        Self { inner, first, mute: None, end: None }
    }

    /// Keeps an error of reading, if it is the first.
    fn note(&self, error: &io::Error) {
        let _ = self.first.set(match Trust::of(error) {
            Some(trust) => Cause::Trust(trust),
            None => Cause::Io(self.mute.clone().unwrap_or_else(|| plain(error))),
        });
    }

    /// Returns the result of a write. An error is replaced by `as_if`, the result of a successful write: it ends writing, and reading finds
    /// the reason.
    fn written<T>(&mut self, done: io::Result<T>, as_if: T) -> io::Result<T> {
        done.or_else(|error| {
            self.mute.get_or_insert_with(|| plain(&error));
            Ok(as_if)
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.end.is_none() {
            let before = to.filled().len();
            let done = ready!(Pin::new(&mut self.inner).poll_read(cx, to));
            match &done {
                Err(error) => self.note(error),
                Ok(()) if to.filled().len() == before && to.remaining() > 0 => {
                    let _ = self.first.set(Cause::Io("the agent closed the connection".to_owned()));
                }
                Ok(()) => return Poll::Ready(Ok(())),
            }
            self.end = Some((done, Box::pin(sleep(LATER))));
        }
        let Some((result, later)) = &mut self.end else { return Poll::Ready(Ok(())) };
        ready!(later.as_mut().poll(cx));
        // An error is reported once; later reads return the end.
        Poll::Ready(std::mem::replace(result, Ok(())))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        if self.mute.is_some() {
            return Poll::Ready(Ok(from.len()));
        }
        let done = ready!(Pin::new(&mut self.inner).poll_write(cx, from));
        Poll::Ready(self.written(done, from.len()))
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.mute.is_some() {
            return Poll::Ready(Ok(()));
        }
        let done = ready!(Pin::new(&mut self.inner).poll_flush(cx));
        Poll::Ready(self.written(done, ()))
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.mute.is_some() {
            return Poll::Ready(Ok(()));
        }
        let done = ready!(Pin::new(&mut self.inner).poll_shutdown(cx));
        Poll::Ready(self.written(done, ()))
    }
}

#[cfg(test)]
mod tests;
