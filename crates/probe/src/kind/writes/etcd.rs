//! Records in etcd, by the JSON gateway of its version 3. Reads back by pages, each a linearizable range.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use firedrill_wire::probe::{Connection, EtcdStore, ProbeSpec, Refusal};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::common::{Makes, send, within};
use crate::{
    kind::http::{
        client::{Client, REUSE},
        request::Template,
        whole::Way,
    },
    outcome::{Cause, Failure},
    reads::Reads,
    writes::store::{Found, Record, Store, Written},
};

/// Records of one page.
const PAGE: u32 = 1000;
/// Maximum length of a page in bytes.
const PAGE_MOST: usize = 4 << 20;
/// Maximum number of times that a page is asked for. One that failed is asked for again, because reading changes nothing.
const TRIES: u32 = 3;
/// Maximum duration of one page.
const PAGE_WITHIN: Duration = Duration::from_secs(10);

/// The requests and the way to the member, shared by all stores of a probe.
struct Parts {
    way: Arc<Way>,
    put: Template,
    range: Template,
    reuse: bool,
}

/// A store in etcd.
struct Etcd {
    parts: Arc<Parts>,
    client: Client,
    /// Reads over kept connections, whatever the probe does.
    reader: Client,
}

/// A request that writes a record, in base64.
#[derive(Serialize)]
struct Put {
    key: String,
    value: String,
}

/// A request that reads a page. Its keys are in base64.
#[derive(Serialize)]
struct Range {
    key: String,
    range_end: String,
    limit: u32,
}

/// A page of records.
#[derive(Deserialize)]
struct Page {
    /// Every answer of etcd has it. Without it the answer is of something else, and no empty page.
    #[serde(rename = "header")]
    _header: serde::de::IgnoredAny,
    #[serde(default)]
    kvs: Vec<Pair>,
    #[serde(default)]
    more: bool,
}

/// A record, in base64.
#[derive(Deserialize)]
struct Pair {
    key: String,
    #[serde(default)]
    value: String,
}

/// Returns the maker of the store.
///
/// # Errors
/// All that cannot be had on this machine.
pub(super) fn stores(store: &EtcdStore, spec: &ProbeSpec, reads: &dyn Reads) -> Result<Makes, Vec<Refusal>> {
    let (put, range) = (store.call("/v3/kv/put"), store.call("/v3/kv/range"));
    let reuse = spec.connection == Connection::Reuse;
    let rate = if reuse { 0.0 } else { spec.rate };
    let all = || {
        Ok(Arc::new(Parts {
            way: Arc::new(Way::opening(rate, &put, &spec.names, reads)?),
            put: Template::by(spec.connection, &put, reads)?,
            range: Template::by(Connection::Reuse, &range, reads)?,
            reuse,
        }))
    };
    let parts = all().map_err(within("etcd"))?;
    Ok(Arc::new(move |_| {
        let client = |reuse| Client::new(Arc::clone(&parts.way), reuse);
        Box::new(Etcd { parts: Arc::clone(&parts), client: client(parts.reuse), reader: client(REUSE) })
    }))
}

/// Returns the first key that does not begin with the prefix, which ends with a `:`.
fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // No key is behind all others: etcd takes it for the end of all keys.
    vec![0]
}

/// Reads a record; `None` for one that no probe wrote.
fn found(pair: &Pair) -> Option<Found> {
    let text = |coded: &str| String::from_utf8(STANDARD.decode(coded).ok()?).ok();
    Some(Found { key: text(&pair.key)?, value: text(&pair.value)?.parse().ok()? })
}

impl Etcd {
    async fn page(&self, ask: &Range, until: Instant) -> Result<Page, Failure> {
        let mut failed = Failure::from(Cause::Timeout);
        let body = serde_json::to_vec(ask).map_err(|_| Cause::Protocol)?;
        for _ in 0..TRIES {
            let until = until.min(Instant::now() + PAGE_WITHIN);
            let request = self.parts.range.with_body(body.clone());
            match timeout_at(until, self.reader.ask(request, until, PAGE_MOST)).await {
                Ok(Ok((head, body))) if head.status.is_success() => {
                    return serde_json::from_slice(&body).map_err(|_| Cause::Body.into());
                }
                Ok(Ok((head, _))) => failed = Cause::Status(head.status.as_u16()).into(),
                Ok(Err(broke)) => failed = broke.failure(),
                Err(_) => failed = Cause::Timeout.into(),
            }
        }
        Err(failed)
    }
}

impl Store for Etcd {
    fn prepare(&self, _until: Instant) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn write<'a>(&'a self, record: Record<'a>, until: Instant) -> BoxFuture<'a, Written> {
        Box::pin(async move {
            let put =
                Put { key: STANDARD.encode(record.key), value: STANDARD.encode(record.value.to_string()) };
            match serde_json::to_vec(&put) {
                Ok(body) => send(&self.client, self.parts.put.with_body(body), until).await,
                Err(_) => Written::Refused(Cause::Protocol),
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
            let range_end = STANDARD.encode(end_of(prefix));
            let mut from = prefix.as_bytes().to_vec();
            loop {
                let ask = Range { key: STANDARD.encode(&from), range_end: range_end.clone(), limit: PAGE };
                let page = self.page(&ask, until).await?;
                for pair in &page.kvs {
                    each(found(pair).ok_or(Cause::Body)?);
                }
                match page.kvs.last() {
                    Some(last) if page.more => {
                        from = STANDARD.decode(&last.key).map_err(|_| Cause::Body)?;
                        from.push(0);
                    }
                    _ => return Ok(()),
                }
            }
        })
    }
}
