//! Sends requests over new or kept connections, and tells requests that were certainly not sent from those that may have been sent. No request
//! is sent twice.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::time::Instant;

use super::{
    exchange::{Broken, Line},
    whole::Way,
};
use crate::{
    locked::lock,
    outcome::{Cause, Failure},
};

/// A kept connection that was not used for this long is closed.
const IDLE: Duration = Duration::from_secs(10);

/// For [`Client::new`]: connections are used again.
pub(crate) const REUSE: bool = true;

/// The reason why there is no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broke {
    /// Nothing of the request was sent.
    Unsent(Failure),
    /// The request may have been sent.
    Sent(Failure),
}

impl Broke {
    /// Returns the failure, whatever was sent.
    pub(crate) const fn failure(self) -> Failure {
        match self {
            Self::Unsent(failure) | Self::Sent(failure) => failure,
        }
    }
}

/// Sends requests to one server.
pub(crate) struct Client {
    way: Arc<Way>,
    reuse: bool,
    kept: Mutex<VecDeque<(Instant, Line)>>,
}

impl Client {
    /// Returns a client, which has no connections yet. `reuse` says whether connections are used again.
    pub(crate) fn new(way: Arc<Way>, reuse: bool) -> Self {
        Self { way, reuse, kept: Mutex::default() }
    }

    /// Sends a request and reads the whole answer, of at most `most` bytes.
    pub(crate) async fn ask(
        &self,
        mut request: Request<Full<Bytes>>,
        until: Instant,
        most: usize,
    ) -> Result<(http::response::Parts, Vec<u8>), Broke> {
        if let Some(mut line) = self.take().await {
            match line.whole(request, most).await {
                Ok(answer) => return Ok(self.done(line, answer).await),
                Err(Broken::Unsent(again)) => request = *again,
                Err(other) => return Err(Broke::Sent(other.failure())),
            }
        }
        let mut line = self.way.open(until).await.map_err(Broke::Unsent)?;
        match line.whole(request, most).await {
            Ok(answer) => Ok(self.done(line, answer).await),
            Err(Broken::Unsent(_)) => Err(Broke::Unsent(Cause::Reset.into())),
            Err(other) => Err(Broke::Sent(other.failure())),
        }
    }

    async fn take(&self) -> Option<Line> {
        loop {
            let (since, mut line) = lock(&self.kept).pop_back()?;
            if since.elapsed() < IDLE && line.usable().await {
                return Some(line);
            }
        }
    }

    async fn done<T>(&self, mut line: Line, answer: T) -> T {
        if self.reuse && line.usable().await {
            let mut kept = lock(&self.kept);
            kept.push_back((Instant::now(), line));
            while kept.front().is_some_and(|(since, _)| since.elapsed() > IDLE) {
                kept.pop_front();
            }
        }
        answer
    }
}
