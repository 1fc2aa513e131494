//! The built-in load balancer: a reverse proxy for HTTP/1.1 with health checks, passive ejection, connection reuse, and
//! one retry for a request that was not sent.

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

/// Maximum number of idle connections per backend. Few, because each one costs a request when the backend dies
/// silently, whereas a new connection fails in time for a retry.
const KEPT: usize = 4;

struct Edge {
    config: EdgeConfig,
    inner: Mutex<Inner>,
}

struct Inner {
    balance: Balance,
    /// Idle connections of each backend.
    idle: Vec<Vec<SendRequest<Incoming>>>,
}

/// Runs it until SIGTERM.
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

/// Checks one backend for ever.
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
        // The connection may end first; the answer has arrived by then, or never will.
        _ = connection => asked.await,
    }
}

/// The reason why a try brought no answer.
enum Failed {
    /// The request was not sent and is intact.
    NotSent(Box<Request<Incoming>>),
    /// It may have been carried out.
    Sent(StatusCode, &'static str),
}

impl Edge {
    async fn answer(self: Arc<Self>, mut request: Request<Incoming>) -> Response<Body> {
        if request.uri().path() == "/_edge/status" {
            return self.status();
        }
        make_forwardable(&mut request);
        let mut not = None;
        for last in [!self.config.health_check, true] {
            let Some(index) = self.lock().balance.pick(not) else { break };
            match self.try_one(index, request).await {
                Ok(response) => return self.answered(index, response),
                Err(Failed::Sent(status, what)) => return self.failed(index, status, what),
                Err(Failed::NotSent(_)) if last => {
                    return self.failed(index, StatusCode::BAD_GATEWAY, "the backend cannot be reached");
                }
                Err(Failed::NotSent(whole)) => request = *whole,
            }
            not = Some(index);
        }
        http::error(StatusCode::SERVICE_UNAVAILABLE, "no backend is up")
    }

    fn answered(&self, index: usize, mut response: Response<Incoming>) -> Response<Body> {
        self.lock().balance.states[index].served += 1;
        remove_hop_by_hop(response.headers_mut());
        if let Ok(name) = HeaderValue::from_str(&self.config.backends[index].name) {
            response.headers_mut().insert(HeaderName::from_static("x-served-by"), name);
        }
        response.map(BodyExt::boxed)
    }

    fn failed(&self, index: usize, status: StatusCode, what: &str) -> Response<Body> {
        self.lock().balance.states[index].failed += 1;
        http::error(status, what)
    }

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
                    // The backend had closed an idle connection meanwhile, which is no failure.
                    Some(whole) if was_kept => request = whole,
                    Some(whole) => return Err(Failed::NotSent(Box::new(whole))),
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

    fn take_idle(&self, index: usize) -> Option<SendRequest<Incoming>> {
        let mut inner = self.lock();
        while let Some(sender) = inner.idle[index].pop() {
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    /// Keeps the connection once the answer has been read to its end.
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

    /// Applies a result of a check, and logs the change.
    fn changed(&self, index: usize, judge: impl FnOnce(&mut Balance) -> Option<bool>) {
        let mut inner = self.lock();
        if let Some(up) = judge(&mut inner.balance) {
            inner.idle[index].clear();
            println!("edge: {} is {}", self.config.backends[index].name, if up { "up" } else { "down" });
        }
    }

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

/// Rewrites a request as a client of the backend would send it: a path only, without hop-by-hop headers.
fn make_forwardable(request: &mut Request<Incoming>) {
    let path = request.uri().path_and_query().map_or("/", |p| p.as_str()).parse();
    *request.uri_mut() = path.unwrap_or_default();
    *request.version_mut() = hyper::Version::HTTP_11;
    remove_hop_by_hop(request.headers_mut());
}

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
