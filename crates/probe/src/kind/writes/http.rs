//! Records in a server that takes and gives one record by each request. Reads back key by key.

use std::{sync::Arc, time::Duration};

use firedrill_wire::probe::{Connection, HttpStore, ProbeSpec, Refusal};
use futures_util::{StreamExt as _, future::BoxFuture, stream};
use tokio::time::{Instant, timeout_at};

use super::common::{ANSWER_MOST, Makes, send, within};
use crate::{
    kind::http::{
        client::{Client, REUSE},
        request::Template,
        whole::Way,
    },
    outcome::{Cause, Failure},
    reads::{Once, Reads},
    writes::{
        record::Record as Book,
        store::{Found, Record, Store, Written},
    },
};

/// Requests that read at the same time.
const AT_ONCE: usize = 32;
/// Maximum number of times that a record is read. A read that failed is repeated, because reading changes nothing.
const TRIES: u32 = 3;
/// Maximum duration of one read.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// The requests and the way to the server, shared by all stores of a probe.
struct Parts {
    way: Arc<Way>,
    write: Template,
    read: Template,
    reuse: bool,
}

/// A store in a server that speaks HTTP.
struct Http {
    parts: Arc<Parts>,
    client: Client,
    /// Reads over kept connections, whatever the probe does.
    reader: Client,
    book: Arc<Book>,
}

/// Returns the maker of the store.
///
/// # Errors
/// All that cannot be had on this machine.
pub(super) fn stores(store: &HttpStore, spec: &ProbeSpec, reads: &dyn Reads) -> Result<Makes, Vec<Refusal>> {
    let once = Once::new(reads);
    let (writing, reading) = (store.writing(), store.reading());
    let reuse = spec.connection == Connection::Reuse;
    let rate = if reuse { 0.0 } else { spec.rate };
    let all = || {
        Ok(Arc::new(Parts {
            way: Arc::new(Way::opening(rate, &writing, &spec.names, &once)?),
            write: Template::by(spec.connection, &writing, &once)?,
            read: Template::by(Connection::Reuse, &reading, &once)?,
            reuse,
        }))
    };
    let parts = all().map_err(within("http"))?;
    Ok(Arc::new(move |book| {
        let client = |reuse| Client::new(Arc::clone(&parts.way), reuse);
        let (client, reader) = (client(parts.reuse), client(REUSE));
        Box::new(Http { parts: Arc::clone(&parts), client, reader, book })
    }))
}

impl Http {
    /// Reads one record; `None` where it is not there.
    async fn read(&self, key: &str, until: Instant) -> Result<Option<Found>, Failure> {
        let mut failed = Failure::from(Cause::Timeout);
        for _ in 0..TRIES {
            let request = self.parts.read.with(&[("{key}", key)]).ok_or(Cause::Protocol)?;
            let until = until.min(Instant::now() + READ_WITHIN);
            match timeout_at(until, self.reader.ask(request, until, ANSWER_MOST)).await {
                Ok(Ok((head, body))) => match head.status.as_u16() {
                    200..=299 => {
                        let text = std::str::from_utf8(&body).map_err(|_| Cause::Body)?;
                        let value = text.trim().parse().map_err(|_| Cause::Body)?;
                        return Ok(Some(Found { key: key.to_owned(), value }));
                    }
                    404 | 410 => return Ok(None),
                    status => failed = Cause::Status(status).into(),
                },
                Ok(Err(broke)) => failed = broke.failure(),
                Err(_) => failed = Cause::Timeout.into(),
            }
        }
        Err(failed)
    }
}

impl Store for Http {
    fn prepare(&self, _until: Instant) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn write<'a>(&'a self, record: Record<'a>, until: Instant) -> BoxFuture<'a, Written> {
        Box::pin(async move {
            let value = record.value.to_string();
            match self.parts.write.with(&[("{key}", record.key), ("{value}", &value)]) {
                Some(request) => send(&self.client, request, until).await,
                None => Written::Refused(Cause::Protocol),
            }
        })
    }

    fn read_back<'a>(
        &'a self,
        prefix: &'a str,
        until: Instant,
        each: &'a mut (dyn FnMut(Found) + Send),
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            // Without the numbers it is not known which keys to ask for.
            let seqs = self.book.announced().map_err(|_| Failure::Vantage)?;
            let keys = seqs.into_iter().map(|seq| format!("{prefix}{seq}"));
            let read = |key: String| async move { self.read(&key, until).await };
            let mut found = stream::iter(keys).map(read).buffer_unordered(AT_ONCE);
            while let Some(one) = found.next().await {
                one?.into_iter().for_each(&mut *each);
            }
            Ok(())
        })
    }
}
