//! The HTTP/1.1 server with a graceful stop that both programs of the shop use. Knows nothing about orders or backends.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{
    Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

/// The body of a response.
pub(super) type Body = BoxBody<Bytes, hyper::Error>;

/// Maximum time for the running requests after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);

/// Makes a response with a JSON body.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut response =
        Response::new(Full::new(Bytes::from(text)).map_err(|never: Infallible| match never {}).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// Makes a response with an error as its JSON body.
pub(super) fn error(status: StatusCode, text: &str) -> Response<Body> {
    json(status, &serde_json::json!({ "error": text }))
}

/// Serves on a port, over IPv4 and IPv6, until SIGTERM. Then accepts no new connections, and completes the running requests.
pub(super) async fn serve<F, R>(port: u16, answer: F) -> io::Result<()>
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = match TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await {
        Ok(both) => both,
        // The machine has no IPv6.
        Err(_) => TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await?,
    };
    let mut stop = signal(SignalKind::terminate())?;
    let (stopping, watch) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            _ = stop.recv() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // No file descriptors are left, or the peer is gone already. Other clients can still be served.
                Err(_) => { tokio::time::sleep(Duration::from_millis(10)).await; continue }
            },
        };
        let _ = stream.set_nodelay(true);
        connections.spawn(converse(stream, answer.clone(), watch.clone()));
    }
    drop(listener);
    let _ = stopping.send(true);
    let _ = tokio::time::timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

/// Serves one connection until it ends. When `stopping` becomes true, the running request is completed and the connection is closed.
async fn converse<F, R>(stream: tokio::net::TcpStream, answer: F, mut stopping: watch::Receiver<bool>)
where
    F: Fn(Request<Incoming>) -> R + Send + Sync,
    R: Future<Output = Response<Body>> + Send,
{
    let service = service_fn(|request| {
        let answered = answer(request);
        async { Ok::<_, Infallible>(answered.await) }
    });
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // Errors are ignored: only the peer of this connection is affected.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopping.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Runs a program of the shop to its end, and prints its error.
pub(super) fn run(name: &str, program: impl Future<Output = Result<(), String>>) -> ExitCode {
    crate::sys::process::set_name(name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(program),
        Err(e) => Err(format!("failed to start a runtime: {e}")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}
