//! One connection, and one request and its answer on it.
//!
//! Nothing drives a connection but the request on it, so that dropping the request drops everything.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bytes::Bytes;
use firedrill_wire::probe::HttpProbe;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, Connection, SendRequest},
};

use super::wanted::Wanted;
use crate::{
    clock::boot_us,
    outcome::{Cause, Failure, Phases, of_io},
};

/// For [`Line::body`]: nothing of the body is kept.
const NOT_KEPT: bool = false;

/// Bytes in both directions, plain or through TLS.
pub(super) trait Io: hyper::rt::Read + hyper::rt::Write + Send + Unpin {}
impl<T: hyper::rt::Read + hyper::rt::Write + Send + Unpin> Io for T {}

/// The reason why there was no good answer.
pub(super) enum Broken {
    /// The connection was gone before anything was written.
    Unsent(Box<Request<Full<Bytes>>>),
    /// The answer is whole and not a good one. The connection can be used again.
    Answered(Cause),
    /// There is no whole answer.
    Failed(Failure),
}

impl Broken {
    /// Returns the failure of a request that is not sent again.
    pub(super) fn failure(self) -> Failure {
        match self {
            Self::Unsent(_) => Cause::Reset.into(),
            Self::Answered(cause) => cause.into(),
            Self::Failed(failure) => failure,
        }
    }
}

type Driver = Connection<Box<dyn Io>, Full<Bytes>>;

/// An open connection.
pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    connection: Pin<Box<Driver>>,
    /// Whether the connection has ended.
    over: bool,
}

impl Line {
    /// Begins HTTP/1.1 over an open connection. Writes nothing yet.
    pub(super) async fn new(io: Box<dyn Io>) -> Result<Self, Failure> {
        let (sender, connection) = http1::handshake(io).await.map_err(|why| of_hyper(&why))?;
        Ok(Self { sender, connection: Box::pin(connection), over: false })
    }

    /// Whether the connection can take a request, as far as is known without waiting.
    pub(super) async fn usable(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(())
        })
        .await;
        !self.over && self.sender.is_ready()
    }

    /// Sends the request and reads the answer. Returns whether the connection can take another request.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        wanted: &Wanted,
        phases: &mut Phases,
    ) -> Result<bool, Broken> {
        let begun = boot_us();
        let answer = self.sender.try_send_request(request);
        let response = self.along(answer).await.map_err(|mut failed| match failed.take_message() {
            Some(unsent) => Broken::Unsent(Box::new(unsent)),
            None => Broken::Failed(of_hyper(failed.error())),
        })?;
        phases.first_byte = boot_us() - begun;
        let status = response.status();
        if !wanted.status(status) {
            // Whether the rest arrives says nothing more; what is there already is read, so that the line is kept.
            let mut rest = pin!(self.body(response, NOT_KEPT));
            let _ = poll_fn(|cx| Poll::Ready(rest.as_mut().poll(cx))).await;
            return Err(Broken::Answered(Cause::Status(status.as_u16())));
        }
        let (whole, body) = self.body(response, wanted.reads()).await.map_err(Broken::Failed)?;
        if !wanted.body(&body, whole) {
            return Err(Broken::Answered(Cause::Body));
        }
        Ok(whole && self.usable().await)
    }

    /// Sends the request and reads the whole answer, whatever its status.
    pub(super) async fn whole(
        &mut self,
        request: Request<Full<Bytes>>,
        most: usize,
    ) -> Result<(http::response::Parts, Vec<u8>), Broken> {
        let answer = self.sender.try_send_request(request);
        let response = self.along(answer).await.map_err(|mut failed| match failed.take_message() {
            Some(unsent) => Broken::Unsent(Box::new(unsent)),
            None => Broken::Failed(of_hyper(failed.error())),
        })?;
        let (head, mut body) = response.into_parts();
        let mut kept = Vec::new();
        while let Some(frame) = self.along(body.frame()).await {
            let frame = frame.map_err(|why| Broken::Failed(of_hyper(&why)))?;
            let Some(data) = frame.data_ref() else { continue };
            if kept.len() + data.len() > most {
                return Err(Broken::Failed(Cause::Body.into()));
            }
            kept.extend_from_slice(data);
        }
        Ok((head, kept))
    }

    /// Reads the body. Returns whether it ended within the maximum length, and its beginning if `keep` is set.
    async fn body(&mut self, response: Response<Incoming>, keep: bool) -> Result<(bool, Vec<u8>), Failure> {
        let (mut body, mut seen, mut kept) = (response.into_body(), 0, Vec::new());
        let mut whole = true;
        while let Some(frame) = self.along(body.frame()).await {
            let frame = frame.map_err(|why| of_hyper(&why))?;
            let Some(data) = frame.data_ref() else { continue };
            if keep {
                kept.extend_from_slice(&data[..data.len().min(HttpProbe::ANSWER_MOST.saturating_sub(seen))]);
            }
            seen += data.len();
            if seen > HttpProbe::ANSWER_MOST {
                whole = false;
                break;
            }
        }
        Ok((whole, kept))
    }

    /// Waits for something of this connection while driving it.
    async fn along<F: Future>(&mut self, what: F) -> F::Output {
        let mut what = pin!(what);
        poll_fn(|cx| {
            self.drive(cx);
            what.as_mut().poll(cx)
        })
        .await
    }

    /// Drives the connection. An error of it comes out at the request that is on it.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.over && self.connection.as_mut().poll(cx).is_ready() {
            self.over = true;
        }
    }
}

/// Classifies an error of hyper as an outcome of the request.
fn of_hyper(error: &hyper::Error) -> Failure {
    if error.is_parse() || error.is_user() {
        return Cause::Protocol.into();
    }
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            let of_tls = io.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>);
            return if of_tls { Cause::Tls.into() } else { of_io(io) };
        }
        source = inner.source();
    }
    // Closed, cancelled or incomplete: the answer did not come to its end.
    Cause::Reset.into()
}
