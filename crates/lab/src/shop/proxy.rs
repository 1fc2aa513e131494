//! The built-in load balancer: a reverse proxy for HTTP/1.1. It checks the health of its backends, takes a backend out of use when a
//! connection fails, reuses connections, and sends a request to a second backend if it was not sent to the first. It never repeats a
//! request that a backend may have carried out.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{net::TcpStream, time::timeout};

use super::{
    balance::Balance,
    edge_config::EdgeConfig,
    http::{self, Body},
};

/// Maximum number of idle connections per backend. The number is low, because each idle connection costs one request when the backend dies
/// silently, whereas a new connection fails in time for a retry.
const KEPT: usize = 4;

/// The load balancer.
struct Edge {
    config: EdgeConfig,
    inner: Mutex<Inner>,
}

/// The state of the load balancer.
struct Inner {
    balance: Balance,
    /// Idle connections of each backend.
    idle: Vec<Vec<SendRequest<Incoming>>>,
}

/// Runs the load balancer until SIGTERM.
pub(super) async fn run(config: EdgeConfig) -> Result<(), String> {
    println!(
        "edge: the built-in load balancer on port {}, {} backends, health checks {}",
        config.port,
        config.backends.len(),
        if config.health_check { "on" } else { "OFF" }
    );
    let idle = config.backends.iter().map(|_| Vec::new()).collect();
    let inner = Mutex::new(Inner { balance: Balance::new(&config), idle });
    let port = config.port;
    let edge = Arc::new(Edge { config, inner });
    if edge.config.health_check {
        for index in 0..edge.config.backends.len() {
            tokio::spawn(check(edge.clone(), index));
        }
    }
    let answer = move |request| edge.clone().answer(request);
    http::serve(port, answer).await.map_err(|e| format!("failed to listen on port {port}: {e}"))
}

/// Checks one backend again and again. Never returns.
async fn check(edge: Arc<Edge>, index: usize) {
    let mut clock = tokio::time::interval(edge.config.interval());
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let limit = Duration::from_millis(edge.config.check_timeout_ms);
    loop {
        clock.tick().await;
        let good =
            timeout(limit, healthy(edge.config.backends[index].address)).await.is_ok_and(|r| r.is_ok());
        edge.changed(index, |balance| balance.checked(index, good));
    }
}

/// Asks a backend for its health. The error is the reason why it is not healthy.
async fn healthy(address: SocketAddr) -> Result<(), String> {
    let stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let request = Request::get("/health")
        .header(header::HOST, address.to_string())
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|e| e.to_string())?;
    let asked = async move {
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        if response.status() == StatusCode::OK { Ok(()) } else { Err(response.status().to_string()) }
    };
    let mut asked = std::pin::pin!(asked);
    tokio::select! {
        result = &mut asked => result,
        // The connection may end first. By then the answer has arrived, or it will never arrive.
        _ = connection => asked.await,
    }
}

/// The reason why a try of a request brought no answer.
enum Failed {
    /// The request was not sent. It is returned unchanged.
    NotSent(Box<Request<Incoming>>),
    /// The request was sent, and the backend may have carried it out. Has the status and the text for the client.
    Sent(StatusCode, &'static str),
}

impl Edge {
    /// Answers a client's request, by the answer of a backend or by an error.
    async fn answer(self: Arc<Self>, mut request: Request<Incoming>) -> Response<Body> {
        if request.uri().path() == "/_edge/status" {
            return self.status();
        }
        make_forwardable(&mut request);
        let mut tried = None;
        for last in [!self.config.health_check, true] {
            let Some(index) = self.lock().balance.pick(tried) else { break };
            match self.try_one(index, request).await {
                Ok(response) => return self.answered(index, response),
                Err(Failed::Sent(status, text)) => return self.failed(index, status, text),
                Err(Failed::NotSent(_)) if last => {
                    return self.failed(index, StatusCode::BAD_GATEWAY, "the backend cannot be reached");
                }
                Err(Failed::NotSent(unsent)) => request = *unsent,
            }
            tried = Some(index);
        }
        http::error(StatusCode::SERVICE_UNAVAILABLE, "no backend is up")
    }

    /// Counts an answer of a backend, and returns it in the form for the client.
    fn answered(&self, index: usize, mut response: Response<Incoming>) -> Response<Body> {
        self.lock().balance.states[index].served += 1;
        remove_hop_by_hop(response.headers_mut());
        if let Ok(name) = HeaderValue::from_str(&self.config.backends[index].name) {
            response.headers_mut().insert(HeaderName::from_static("x-served-by"), name);
        }
        response.map(BodyExt::boxed)
    }

    /// Counts a request that failed at a backend, and returns the error for the client.
    fn failed(&self, index: usize, status: StatusCode, text: &str) -> Response<Body> {
        self.lock().balance.states[index].failed += 1;
        http::error(status, text)
    }

    /// Sends a request to one backend, over an idle or a new connection.
    async fn try_one(
        self: &Arc<Self>,
        index: usize,
        mut request: Request<Incoming>,
    ) -> Result<Response<Incoming>, Failed> {
        loop {
            let kept = self.take_idle(index);
            let was_kept = kept.is_some();
            let mut sender = match kept {
                Some(sender) => sender,
                None => match self.connect(index).await {
                    Ok(sender) => sender,
                    Err(_) => {
                        self.changed(index, |balance| balance.unreachable(index));
                        return Err(Failed::NotSent(Box::new(request)));
                    }
                },
            };
            let limit = Duration::from_millis(self.config.try_timeout_ms);
            match timeout(limit, sender.try_send_request(request)).await {
                Ok(Ok(response)) => {
                    self.keep_when_idle(index, sender);
                    return Ok(response);
                }
                Ok(Err(mut error)) => match error.take_message() {
                    // The backend has closed the idle connection meanwhile, which is no failure: another connection is tried.
                    Some(unsent) if was_kept => request = unsent,
                    Some(unsent) => return Err(Failed::NotSent(Box::new(unsent))),
                    None => return Err(Failed::Sent(StatusCode::BAD_GATEWAY, "the backend broke off")),
                },
                Err(_) => {
                    self.changed(index, |balance| balance.checked(index, false));
                    return Err(Failed::Sent(
                        StatusCode::GATEWAY_TIMEOUT,
                        "the backend did not answer in time",
                    ));
                }
            }
        }
    }

    async fn connect(&self, index: usize) -> io::Result<SendRequest<Incoming>> {
        let limit = Duration::from_millis(self.config.connect_timeout_ms);
        let stream = timeout(limit, TcpStream::connect(self.config.backends[index].address)).await??;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// Takes an idle connection that is still usable; `None` if there is none.
    fn take_idle(&self, index: usize) -> Option<SendRequest<Incoming>> {
        let mut inner = self.lock();
        while let Some(sender) = inner.idle[index].pop() {
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    /// Keeps a connection for reuse when its answer has been read to the end.
    fn keep_when_idle(self: &Arc<Self>, index: usize, mut sender: SendRequest<Incoming>) {
        let edge = self.clone();
        tokio::spawn(async move {
            if sender.ready().await.is_ok() {
                let mut inner = edge.lock();
                if inner.balance.states[index].up && inner.idle[index].len() < KEPT {
                    inner.idle[index].push(sender);
                }
            }
        });
    }

    /// Applies `judge`, which returns whether the backend is up if that has changed. Logs a change.
    fn changed(&self, index: usize, judge: impl FnOnce(&mut Balance) -> Option<bool>) {
        let mut inner = self.lock();
        if let Some(up) = judge(&mut inner.balance) {
            inner.idle[index].clear();
            println!("edge: {} is {}", self.config.backends[index].name, if up { "up" } else { "down" });
        }
    }

    /// Returns the status of the load balancer and its backends as JSON.
    fn status(&self) -> Response<Body> {
        let inner = self.lock();
        let states = inner.balance.states.iter();
        let backends = self.config.backends.iter().zip(states).map(|(backend, state)| {
            json!({
                "name": backend.name, "address": backend.address, "up": state.up, "ejections": state.ejections,
                "served": state.served, "failed": state.failed,
            })
        });
        let backends: Vec<_> = backends.collect();
        let status =
            json!({ "balancer": "built-in", "health_check": self.config.health_check, "backends": backends });
        http::json(StatusCode::OK, &status)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rewrites a request for a backend: the target becomes a path only, and the hop-by-hop headers are removed.
fn make_forwardable(request: &mut Request<Incoming>) {
    let path = request.uri().path_and_query().map_or("/", |p| p.as_str()).parse();
    *request.uri_mut() = path.unwrap_or_default();
    *request.version_mut() = hyper::Version::HTTP_11;
    remove_hop_by_hop(request.headers_mut());
}

/// Removes the headers that are only for the connection to the neighbour: the standard ones, and those that `Connection` names.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let always = [
        header::CONNECTION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        HeaderName::from_static("keep-alive"),
    ];
    for name in always.into_iter().chain(named) {
        headers.remove(name);
    }
}
