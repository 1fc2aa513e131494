//! The clients against real servers of PostgreSQL, MariaDB, Redis and etcd, started on loopback addresses of this process and ended by their pids.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod etcd;
mod lost;
mod mysql;
mod postgres;
mod programs;
mod redis;

use std::{collections::BTreeMap, time::Duration};

use firedrill_probe::{
    Anything, RecordStore, StoreProbe, Stores as _, Terms,
    client::{Ask, Due, Failure, Phases},
    writes::store::{Found, Record, Store, Written},
};
use firedrill_stores::Clients;
use firedrill_wire::probe::{Arrivals, Connection, ProbeKind, ProbeSpec, WritesProbe};
use serde_json::Value;
use tokio::time::Instant;

/// Longer than any server needs, if it answers at all.
const LONG: Duration = Duration::from_secs(20);

/// A request that is due at no certain time.
const DUE: Due = Due { us: 0 };

fn spec(kind: ProbeKind, connection: Connection) -> ProbeSpec {
    assert_eq!(kind.invalid(), []);
    ProbeSpec {
        name: "store".to_owned(),
        kind,
        rate: 1.0,
        arrivals: Arrivals::Even,
        key: 0,
        timeout: LONG.into(),
        connection,
        names: BTreeMap::new(),
    }
}

fn client(json: &str, connection: Connection) -> Box<dyn Ask> {
    client_of(if json.contains("\"command\"") { "redis" } else { "postgres" }, json, connection)
}

/// Makes the client of a probe of that kind.
fn client_of(kind: &str, json: &str, connection: Connection) -> Box<dyn Ask> {
    let kind: ProbeKind = serde_json::from_str(&format!("{{{kind:?}:{json}}}")).expect(json);
    let spec = spec(kind, connection);
    let terms = Terms { spec: &spec, reads: &Anything };
    let made = match &spec.kind {
        ProbeKind::Postgres(probe) => Clients.client(StoreProbe::Postgres(probe), &terms),
        ProbeKind::Mysql(probe) => Clients.client(StoreProbe::Mysql(probe), &terms),
        ProbeKind::Redis(probe) => Clients.client(StoreProbe::Redis(probe), &terms),
        other => unreachable!("{other:?}"),
    };
    made.map_err(|why| format!("{why:?}")).unwrap()
}

/// Returns the store of the servers that a probe asks.
fn store(json: &str) -> WritesProbe {
    let mut values: serde_json::Map<String, Value> = serde_json::from_str(json).expect(json);
    let name = if values.remove("command").is_some() { "redis" } else { "postgres" };
    serde_json::from_value(serde_json::json!({ name: values })).expect(json)
}

fn writer(json: &str, connection: Connection) -> Box<dyn Store> {
    let store = store(json);
    let spec = spec(ProbeKind::Writes(store.clone()), connection);
    let terms = Terms { spec: &spec, reads: &Anything };
    let made = match &store {
        WritesProbe::Postgres(store) => Clients.writer(RecordStore::Postgres(&store.probe()), &terms),
        WritesProbe::Redis(store) => Clients.writer(RecordStore::Redis(&store.probe()), &terms),
        other => unreachable!("{other:?}"),
    };
    made.map_err(|why| format!("{why:?}")).unwrap()()
}

/// Asks once over a new connection, and returns the cause, or `good`.
async fn asked(json: &str) -> String {
    said(client(json, Connection::New).ask(DUE, Instant::now() + LONG).await)
}

/// Asks until something is said.
async fn at_last(json: &str, what: &str) {
    at_last_of(what, async || asked(json).await).await;
}

/// Asks in some way until something is said.
async fn at_last_of(what: &str, ask: impl AsyncFn() -> String) {
    let until = Instant::now() + LONG;
    loop {
        let said = ask().await;
        if said == what {
            return;
        }
        assert!(Instant::now() < until, "{said}, and never {what}");
    }
}

fn said(how: Result<Phases, Failure>) -> String {
    match how {
        Ok(_) => "good".to_owned(),
        Err(Failure::Bad(cause)) => cause.to_string(),
        Err(Failure::Vantage) => "vantage".to_owned(),
    }
}

async fn write(store: &dyn Store, key: &str, attempt: u8) -> String {
    write_within(store, key, attempt, LONG).await
}

async fn write_within(store: &dyn Store, key: &str, attempt: u8, time: Duration) -> String {
    let record = Record { key, seq: 1, value: 77, attempt };
    match store.write(record, Instant::now() + time).await {
        Written::Acked => "acked".to_owned(),
        Written::Refused(cause) => format!("no: {cause}"),
        Written::Unknown(cause) => format!("unknown: {cause}"),
    }
}

async fn found(store: &dyn Store, prefix: &str) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::new();
    store.read_back(prefix, Instant::now() + LONG, &mut |one| all.push(one)).await?;
    Ok(all)
}

/// Writes `more` records, and reads back these and nothing else.
async fn all_come_back(store: &dyn Store, more: u64) {
    let many = usize::try_from(more).unwrap();
    store.prepare(Instant::now() + LONG).await.unwrap();
    // Whoever else makes it at the same time is no error.
    store.prepare(Instant::now() + LONG).await.unwrap();
    for seq in 0..more {
        let key = format!("r'1:v*\\:{seq}");
        let record = Record { key: &key, seq, value: seq + 5, attempt: 0 };
        assert_eq!(store.write(record, Instant::now() + LONG).await, Written::Acked, "{seq}");
    }
    assert_eq!(write(store, "r'1:vx\\:1", 0).await, "acked");
    let all = found(store, "r'1:v*\\:").await.unwrap();
    let values: BTreeMap<String, u64> = all.iter().map(|one| (one.key.clone(), one.value)).collect();
    assert_eq!((all.len(), values.len()), (many, many));
    assert_eq!(values[&format!("r'1:v*\\:{}", more - 1)], more + 4);
    assert_eq!(write(store, "r'1:v*\\:7", 0).await, "unknown: key exists");
    assert_eq!(write(store, "r'1:v*\\:7", 1).await, "acked");
    assert_eq!(found(store, "nothing").await.unwrap(), []);
}
