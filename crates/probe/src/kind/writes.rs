//! Writes numbered records to a store. Each is noted in the write record before it is sent. A write is never repeated, so that each
//! record is sent once.

mod common;
mod etcd;
mod http;

use std::sync::Arc;

use firedrill_wire::probe::{Field, ProbeSpec, Refusal, WritesProbe};
use futures_util::future::BoxFuture;
use tokio::{sync::OnceCell, time::Instant};

use self::common::{Makes, within};
use super::stores::{RecordStore, Terms};
use crate::{
    ask::{Ask, Due, Make, Means},
    clock::boot_us,
    outcome::{Cause, Failure, Phases},
    writes::{
        Reader,
        entry::{Kind, NO_CAUSE},
        record::Record as Book,
        store::{Record, Store, Written},
    },
};

/// Returns the maker of a store. A new store adds its line here. Reads secrets and authorities, and sends nothing.
///
/// # Errors
/// All that cannot be had on this machine or in this program.
fn stores(probe: &WritesProbe, spec: &ProbeSpec, means: Means<'_>) -> Result<Makes, Vec<Refusal>> {
    let Means { reads, stores } = means;
    let by_client = |store: RecordStore<'_>| -> Result<Makes, Vec<Refusal>> {
        let make = stores.writer(store, &Terms { spec, reads }).map_err(within(probe.store()))?;
        Ok(Arc::new(move |_| make()))
    };
    match probe {
        WritesProbe::Http(store) => http::stores(store, spec, reads),
        WritesProbe::Etcd(store) => etcd::stores(store, spec, reads),
        WritesProbe::Postgres(store) => by_client(RecordStore::Postgres(&store.probe())),
        WritesProbe::Redis(store) => by_client(RecordStore::Redis(&store.probe())),
    }
}

impl Make for WritesProbe {
    fn unreadable(&self, spec: &ProbeSpec, means: Means<'_>) -> Vec<Refusal> {
        stores(self, spec, means).err().unwrap_or_default()
    }

    fn make(&self, spec: &ProbeSpec, means: Means<'_>) -> Result<Box<dyn Ask>, Vec<Refusal>> {
        let make = stores(self, spec, means)?;
        let nowhere = |why: String| {
            let what = format!("the write record cannot be kept: {why}");
            let help = "a folder that this process can write to, with space for 80 bytes a write";
            vec![Refusal::new(Field::request(&[self.store()]), what, "no write record", help)]
        };
        let place = means.reads.records().map_err(nowhere)?;
        let book =
            Book::begin(&place.folder, &place.author, &spec.name).map_err(|why| nowhere(why.to_string()))?;
        let book = Arc::new(book);
        let reader = {
            let book = Arc::clone(&book);
            Reader {
                probe: spec.name.clone(),
                record: Arc::clone(&book),
                store: {
                    let make = Arc::clone(&make);
                    Arc::new(move || make(Arc::clone(&book)))
                },
            }
        };
        Ok(Box::new(Writes { store: make(Arc::clone(&book)), book, prepared: OnceCell::new(), reader }))
    }
}

/// A probe that writes.
struct Writes {
    store: Box<dyn Store>,
    book: Arc<Book>,
    prepared: OnceCell<()>,
    reader: Reader,
}

impl Ask for Writes {
    /// Good once the store has acknowledged the record.
    fn ask(&self, due: Due, until: Instant) -> BoxFuture<'_, Result<Phases, Failure>> {
        Box::pin(async move {
            self.prepared.get_or_try_init(|| self.store.prepare(until)).await?;
            // A write that is not in the record must not be sent.
            let intent = self.book.intent(due.us).map_err(|_| Failure::Vantage)?;
            let key = format!("{}{}", self.book.prefix(), intent.seq());
            let begun = boot_us();
            let record = Record { key: &key, seq: intent.seq(), value: due.us, attempt: 0 };
            let written = self.store.write(record, until).await;
            match written {
                Written::Acked => {
                    intent.end(Kind::Acked, NO_CAUSE);
                    Ok(Phases { first_byte: boot_us() - begun, ..Phases::default() })
                }
                Written::Refused(cause) => {
                    intent.end(Kind::Refused, cause.code());
                    Err(failure(cause))
                }
                Written::Unknown(cause) => {
                    intent.end(Kind::Unknown, cause.code());
                    Err(failure(cause))
                }
            }
        })
    }

    fn reader(&self) -> Option<Reader> {
        Some(self.reader.clone())
    }
}

/// Returns the failure of a write with this cause.
const fn failure(cause: Cause) -> Failure {
    match cause {
        Cause::Vantage => Failure::Vantage,
        cause => Failure::Bad(cause),
    }
}
