//! Reads the rest of a request whose call was refused before it had read the whole request. Never keeps what it reads.
//!
//! If an answer ends while its request is still arriving, HTTP/2 resets the stream, and some clients drop an answer that a
//! reset follows. So the answer is sent at once, the rest of the request is read and discarded within bounds, and only then
//! the answer ends.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, ready},
    time::Duration,
};

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::mutex::lock;

/// Maximum number of bytes of a request that are read and discarded.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Maximum time for reading them.
const LONGEST: Duration = Duration::from_secs(2);

/// A request's body that its call and its answer share.
pub(super) struct Shared(Arc<Mutex<Incoming>>);

impl Shared {
    pub(super) fn new(body: Incoming) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    /// Returns the same body for the call, which reads it first.
    pub(super) fn lent(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    fn body(&self) -> MutexGuard<'_, Incoming> {
        lock(&self.0)
    }
}

impl Body for Shared {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut *self.body()).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body().size_hint()
    }
}

/// An answer that ends only when its request has ended. Keeps a value until then.
pub(super) struct Answer<B, K> {
    answer: B,
    request: Shared,
    /// Number of bytes that may still be read and discarded.
    left: usize,
    /// The end of [`LONGEST`]; `None` before the answer was sent.
    deadline: Option<Pin<Box<Sleep>>>,
    _kept: K,
}

impl<B, K> Answer<B, K> {
    pub(super) const fn new(answer: B, request: Shared, kept: K) -> Self {
        Self { answer, request, left: MOST_BYTES, deadline: None, _kept: kept }
    }
}

impl<B: Body<Data = Bytes> + Unpin, K: Unpin> Body for Answer<B, K> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        if let Some(frame) = ready!(Pin::new(&mut this.answer).poll_frame(cx)) {
            return Poll::Ready(Some(frame));
        }
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep(LONGEST)));
        loop {
            match this.request.frame_now(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let read = frame.data_ref().map_or(0, Bytes::len);
                    match this.left.checked_sub(read) {
                        Some(left) => this.left = left,
                        // The request is too long: the answer ends before it.
                        None => return Poll::Ready(None),
                    }
                }
                // The request has ended or failed.
                Poll::Ready(_) => return Poll::Ready(None),
                Poll::Pending => return deadline.as_mut().poll(cx).map(|()| None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream() && self.request.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}

impl Shared {
    /// Polls for the next part of the body.
    fn frame_now(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body().frame()).poll(cx)
    }
}
