//! Accepts TCP connections, performs their TLS handshakes, and serves them until they end. Never decides what a caller may do.
//!
//! The number of handshakes is bounded, and a new one displaces the oldest. So peers without a trusted certificate can only displace
//! each other: the handshake of an honest peer completes in milliseconds.

use std::{collections::VecDeque, convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use firedrill_wire::RefusalCode;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::{interval, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_service::Service as _;
use tracing::{debug, info, warn};

use super::{
    app::App,
    identity::Peer,
    lanes::Lanes,
    limits::{CONNECTIONS, FAREWELL, HANDSHAKE, HANDSHAKES, IDLE, LAST_CALLS},
    registry::{Place, Registry},
    rest::{Answer, Shared},
    routes::router,
    tls::Tls,
    verify::why,
    watch::Watch,
};
use crate::{active, audit::Request, control::Control};

/// Accepts connections until `stop` is cancelled. Then waits a short time for the calls under way.
pub(super) async fn run(
    listener: &TcpListener,
    tls: &Tls,
    control: Arc<dyn Control>,
    stop: &CancellationToken,
) {
    let app = Arc::new(App { control, lanes: Lanes::new(), tls: tls.clone(), stop: stop.clone() });
    let door = Arc::new(Door {
        app: Arc::clone(&app),
        router: router(Arc::clone(&app)),
        tls: tls.clone(),
        stop: stop.clone(),
        registry: Registry::new(CONNECTIONS),
        tracker: TaskTracker::new(),
    });
    let mut handshakes: VecDeque<AbortHandle> = VecDeque::new();
    let mut watch = Watch::new(tls.files());
    let mut changes = tls.changes();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = watch.changed() => tls.look_again(),
            Ok(()) = changes.changed() => {
                let app = Arc::clone(&app);
                door.tracker.spawn_blocking(move || app.distrust());
            },
            accepted = listener.accept() => match accepted {
                Ok((tcp, from)) => {
                    handshakes.retain(|handshake| !handshake.is_finished());
                    if handshakes.len() >= HANDSHAKES && let Some(oldest) = handshakes.pop_front() {
                        oldest.abort();
                    }
                    let door_here = Arc::clone(&door);
                    let handshake = async move {
                        if let Err(error) = Arc::clone(&door_here).enter(tcp, from).await {
                            debug!(%from, %error, "not let in");
                            door_here.turned_away(from, &error);
                        }
                    };
                    handshakes.push_back(door.tracker.spawn(handshake).abort_handle());
                }
                // Most likely no file descriptor is left: one handshake is given up, and a pause keeps this loop from spinning.
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    if let Some(oldest) = handshakes.pop_front() {
                        oldest.abort();
                    }
                    sleep(Duration::from_millis(20)).await;
                }
            },
        }
    }
    for handshake in handshakes {
        handshake.abort();
    }
    door.tracker.close();
    if timeout(LAST_CALLS + Duration::from_millis(500), door.tracker.wait()).await.is_err() {
        warn!("connections were still open when the server stopped");
    }
}

/// The state that all new connections share.
struct Door {
    app: Arc<App>,
    router: Router,
    tls: Tls,
    stop: CancellationToken,
    registry: Arc<Registry>,
    tracker: TaskTracker,
}

impl Door {
    /// Performs the handshake. A peer that completes it is served in a separate task, which no other handshake can displace.
    async fn enter(self: Arc<Self>, tcp: TcpStream, from: SocketAddr) -> io::Result<()> {
        // Without this, a small answer would wait for the acknowledgement of the answer before it.
        tcp.set_nodelay(true)?;
        self.tls.look_again();
        let config = Arc::clone(&self.tls.loaded().config);
        let handshake = TlsAcceptor::from(config).accept(tcp).into_fallible();
        let stream = match timeout(HANDSHAKE, handshake).await.map_err(|_| io::ErrorKind::TimedOut)? {
            Ok(stream) => stream,
            Err((error, tcp)) => {
                let _ = timeout(Duration::from_secs(2), drain_refused(tcp)).await;
                return Err(error);
            }
        };
        let (_, session) = stream.get_ref();
        if session.alpn_protocol() != Some(b"h2") {
            return Err(io::Error::other("the peer does not offer HTTP/2 (ALPN h2)"));
        }
        let peer = Arc::new(Peer::new(session.peer_certificates().unwrap_or_default(), from));
        let place = self.registry.admit(peer.name());
        self.tracker.clone().spawn(async move { self.connection(stream, &peer, Arc::new(place)).await });
        Ok(())
    }

    /// Records a peer whose certificate is not trusted. Connections without a certificate are not recorded, because any
    /// stranger can make them.
    fn turned_away(&self, from: SocketAddr, error: &io::Error) {
        let tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        let Some(error @ rustls::Error::InvalidCertificate(_)) = tls else { return };
        let request = Request::accepted("", "connect").refused(&RefusalCode::NotTrusted, &why(error));
        self.app.control.audit(Request { from: from.ip().to_canonical().to_string(), ..request });
    }

    /// Serves a connection until it ends, is idle for too long, has to make room, is not trusted any more, or the server stops.
    async fn connection(&self, stream: TlsStream<TcpStream>, peer: &Arc<Peer>, place: Arc<Place>) {
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let call = place.call();
            let mut router = self.router.clone();
            let (head, body) = request.into_parts();
            let body = Shared::new(body);
            let mut request = hyper::Request::from_parts(head, Body::new(body.lent()));
            request.extensions_mut().insert(Arc::clone(peer));
            async move {
                let response = router.call(request).await?;
                // The call lasts until its answer was sent, which for a stream is much later.
                Ok::<_, Infallible>(response.map(|answer| Answer::new(answer, body, call)))
            }
        });
        let connection = builder().serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let mut changes = self.tls.changes();
        // Trust may have been withdrawn during the handshake, which used the files as read before.
        changes.mark_changed();
        let mut idle = interval(Duration::from_secs(5));
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        debug!(peer = peer.name(), %error, "a connection broke");
                    }
                    return;
                }
                Ok(()) = changes.changed() => if let Err(error) = peer.standing(&self.tls.loaded().trust.verifier) {
                    let line = format!(
                        "the connection of {} (certificate {}) is cut, because that is not trusted any more: {}",
                        peer.name(), peer.serial(), why(&error)
                    );
                    info!("{line}");
                    active::syslog(&line);
                    peer.distrust();
                    let _ = timeout(FAREWELL, connection.as_mut()).await;
                    return;
                },
                _ = idle.tick() => if place.idle().is_some_and(|time| time > IDLE) { break },
                () = place.sent_away() => break,
                () = self.stop.cancelled() => break,
            }
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(LAST_CALLS, connection).await;
    }
}

/// Reads and drops the bytes that a refused peer is still sending. Closing at once would reset the connection, and the peer would lose
/// the alert with the reason.
async fn drain_refused(mut tcp: TcpStream) -> io::Result<()> {
    /// Maximum number of bytes that are read. A client sends less before it gets an answer: its certificates, and the first window of a
    /// request.
    const MOST: usize = 1024 * 1024;
    tcp.shutdown().await?;
    let (mut rest, mut read) = ([0; 16 * 1024], 0);
    while read < MOST {
        match tcp.read(&mut rest).await? {
            0 => break,
            more => read += more,
        }
    }
    Ok(())
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(1))
        .keep_alive_timeout(Duration::from_secs(2))
        .max_concurrent_streams(64)
        .max_header_list_size(16 * 1024)
        .initial_stream_window_size(128 * 1024)
        .initial_connection_window_size(512 * 1024)
        .max_send_buf_size(128 * 1024);
    builder
}
