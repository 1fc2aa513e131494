//! A call of `grpc.health.v1.Health/Check` by HTTP/2, over a connection of its own, plain or over TLS.
//!
//! Its connection is driven by tasks that end with the request, so that dropping the request drops everything.

mod message;
mod tasks;

use std::error::Error;

use bytes::Bytes;
use firedrill_wire::probe::{Field, GrpcHealthProbe, ProbeSpec, Refusal};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Request, Response, Uri, Version, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use self::tasks::Tasks;
use crate::{
    ask::{Ask, Due, Make, Means, resolver},
    clock::boot_us,
    connect::Connector,
    handshake::failure,
    outcome::{Cause, Failure, Phases},
    server::{Server, Stream},
    tls,
};

/// The path of the call.
const CALL: &str = "/grpc.health.v1.Health/Check";
/// Maximum length of an answer, in bytes. An answer to this call has two and its head.
const ANSWER_MOST: usize = 64 * 1024;

/// The status of a call that ended with a status that gRPC does not define.
const UNKNOWN: u8 = 2;
/// The last status that gRPC defines, `UNAUTHENTICATED`.
const LAST: u8 = 16;

/// A gRPC health probe.
struct GrpcHealth {
    server: Server,
    uri: Uri,
    message: Bytes,
}

impl Make for GrpcHealthProbe {
    fn make(&self, spec: &ProbeSpec, means: Means<'_>) -> Result<Box<dyn Ask>, Vec<Refusal>> {
        let (host, port, name) = self.checked()?;
        let resolver = resolver(spec, host, port)?;
        let tls = tls::handshake(name, self.ca_file.as_deref(), &[b"h2"], means.reads)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let uri = format!("{scheme}://{}{CALL}", self.address).parse().map_err(|_| {
            let what = format!("`{}` cannot be the authority of a request", self.address);
            vec![Refusal::new(
                Field::request(&["address"]),
                what,
                "not host:port",
                "for example \"checkout:50051\"",
            )]
        })?;
        let server = Server { connector: Connector::new(resolver, spec.rate), tls };
        Ok(Box::new(GrpcHealth { server, uri, message: message::request(&self.service).into() }))
    }
}

impl Ask for GrpcHealth {
    fn ask(&self, _due: Due, until: Instant) -> BoxFuture<'_, Result<Phases, Failure>> {
        Box::pin(self.once(until))
    }
}

impl GrpcHealth {
    /// Asks once. The request is good once the server has said that it serves, and that the call is over.
    async fn once(&self, until: Instant) -> Result<Phases, Failure> {
        let mut phases = Phases::default();
        let stream = self.server.open(until, &mut phases).await?;
        self.call(stream, &mut phases).await?;
        Ok(phases)
    }

    async fn call(&self, stream: Box<dyn Stream>, phases: &mut Phases) -> Result<(), Failure> {
        let tasks = Tasks::default();
        let begun = boot_us();
        let made = http2::handshake(tasks.executor(), TokioIo::new(stream)).await;
        let (mut sender, connection) = made.map_err(|why| of_hyper(&why))?;
        // An error of the connection comes out at the request that is on it.
        tasks.spawn(async move { drop(connection.await) });
        let answer = sender.send_request(self.request()).await.map_err(|why| of_hyper(&why))?;
        phases.first_byte = boot_us() - begun;
        judge(answer).await
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.message.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = Version::HTTP_2;
        let agent = concat!("firedrill/", env!("CARGO_PKG_VERSION"));
        for (name, value) in [
            (header::CONTENT_TYPE, "application/grpc"),
            (header::TE, "trailers"),
            (header::USER_AGENT, agent),
        ] {
            request.headers_mut().insert(name, header::HeaderValue::from_static(value));
        }
        request
    }
}

/// Reads the whole answer, and judges it. The error says why it is bad.
async fn judge(answer: Response<Incoming>) -> Result<(), Failure> {
    let (head, mut body) = answer.into_parts();
    if head.status != http::StatusCode::OK {
        return Err(Cause::Status(head.status.as_u16()).into());
    }
    let kind = head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], header::HeaderValue::as_bytes);
    if !kind.starts_with(b"application/grpc") {
        return Err(Cause::Protocol.into());
    }
    let (mut message, mut status) = (Vec::new(), status_of(&head.headers));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|why| of_hyper(&why))?;
        if let Some(trailers) = frame.trailers_ref() {
            status = status_of(trailers);
        }
        let Some(data) = frame.data_ref() else { continue };
        if message.len() + data.len() > ANSWER_MOST {
            return Err(Cause::Protocol.into());
        }
        message.extend_from_slice(data);
    }
    match status.ok_or(Cause::Protocol)? {
        0 => match message::serving(&message).ok_or(Cause::Protocol)? {
            message::SERVING => Ok(()),
            other => Err(Cause::Serving(other).into()),
        },
        status => Err(Cause::Grpc(status).into()),
    }
}

/// Returns the status of the call. Those that gRPC does not define mean `UNKNOWN`.
fn status_of(headers: &HeaderMap) -> Option<u8> {
    let status: u32 = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
    Some(u8::try_from(status).ok().filter(|status| *status <= LAST).unwrap_or(UNKNOWN))
}

/// Classifies an error of hyper as an outcome of the request.
fn of_hyper(error: &hyper::Error) -> Failure {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return failure(io);
        }
        source = inner.source();
    }
    // Cancelled and closed: the connection came to its end before the answer did.
    if error.is_canceled() || error.is_closed() || error.is_incomplete_message() {
        return Cause::Reset.into();
    }
    Cause::Protocol.into()
}
