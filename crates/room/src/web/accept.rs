//! Accepts connections. Limits their number, and the time for which a client may send or take nothing.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::sleep,
};
use tower_service::Service as _;

/// Maximum number of open connections. Further ones wait to be accepted.
const CONNECTIONS: usize = 1_024;
/// Maximum time for the head of a request to arrive.
const HEAD: Duration = Duration::from_secs(15);
/// A connection is closed if the client acknowledges none of the sent data for this time, in milliseconds.
const NO_PROGRESS_MS: u32 = 30_000;
/// Time until the next try after a connection could not be accepted.
const RETRY: Duration = Duration::from_millis(50);

/// The address that a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct From(pub(crate) SocketAddr);

impl From {
    /// Returns the IP address. It is `0.0.0.0` if a request has no address, as in tests without connections.
    pub(crate) fn ip(from: Option<Self>) -> IpAddr {
        from.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Self(from)| from.ip().to_canonical())
    }
}

/// Serves until the future is dropped.
pub(crate) async fn accept(listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, from)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    connection(stream, from, router).await;
                    drop(place);
                });
            }
            // Most likely the process has no free file descriptor. A pause avoids a busy loop until one is free.
            Err(_) => sleep(RETRY).await,
        }
    }
}

/// Serves the requests of one connection.
async fn connection(stream: TcpStream, from: SocketAddr, router: Router) {
    // Without these two options the connection works too: it is slower, and lasts longer if the client is gone.
    let _ = stream.set_nodelay(true);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, NO_PROGRESS_MS);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let mut router = router.clone();
        request.extensions_mut().insert(From(from));
        async move {
            Ok::<_, Infallible>(
                router.call(request.map(Body::new)).await.unwrap_or_else(|never| match never {}),
            )
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    // An error ends only this connection, and the client notices it by itself.
    let _ = served.await;
}
