//! Parts of stores that are asked by HTTP: what an answer means for a write. Sends a write once.

use std::sync::Arc;

use bytes::Bytes;
use firedrill_wire::probe::Refusal;
use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::time::Instant;

use crate::{
    kind::http::client::{Broke, Client},
    outcome::Cause,
    writes::{
        record::Record as Book,
        store::{Store, Written},
    },
};

/// Maximum length of an answer in bytes.
pub(super) const ANSWER_MOST: usize = 64 * 1024;
/// Makes a store for the records of a book. The store has no connections yet.
pub(super) type Makes = Arc<dyn Fn(Arc<Book>) -> Box<dyn Store> + Send + Sync>;

/// Puts the fields of refusals of requests into the table of their store.
pub(super) fn within(probe: &str) -> impl Fn(Vec<Refusal>) -> Vec<Refusal> {
    move |all| all.into_iter().map(|one| Refusal { field: one.field.within(probe), ..one }).collect()
}

/// Says what an answer means for the write.
fn written(status: StatusCode) -> Written {
    let cause = Cause::Status(status.as_u16());
    match status.as_u16() {
        200..=299 => Written::Acked,
        // A proxy that lost its client says 499, and a server that lost its patience 408: the write may be under way.
        408 | 499 => Written::Unknown(cause),
        400..=498 => Written::Refused(cause),
        _ => Written::Unknown(cause),
    }
}

/// Says what a broken request means for the write.
fn broken(broke: Broke) -> Written {
    match broke {
        Broke::Unsent(failure) => Written::Refused(failure.into()),
        Broke::Sent(failure) => Written::Unknown(failure.into()),
    }
}

/// Sends a write.
pub(super) async fn send(client: &Client, request: Request<Full<Bytes>>, until: Instant) -> Written {
    match client.ask(request, until, ANSWER_MOST).await {
        Ok((head, _)) => written(head.status),
        Err(broke) => broken(broke),
    }
}
