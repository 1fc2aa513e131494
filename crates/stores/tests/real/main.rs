//! The clients against real servers of PostgreSQL and Redis, started on loopback addresses of this process and ended by their pids.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod postgres;
mod programs;
mod redis;

use std::{collections::BTreeMap, time::Duration};

use firedrill_probe::{
    Anything, StoreProbe, Stores as _, Terms,
    client::{Ask, Failure, Phases},
    writes::store::{Found, Record, Store, Written},
};
use firedrill_stores::Clients;
use firedrill_wire::probe::{Connection, Kind as _, PostgresProbe, RedisProbe};
use tokio::time::Instant;

/// Longer than any server needs, if it answers at all.
const LONG: Duration = Duration::from_secs(20);

fn terms(names: &BTreeMap<String, Vec<std::net::IpAddr>>, connection: Connection) -> Terms<'_> {
    Terms { names, rate: 1.0, connection, reads: &Anything }
}

fn with<T>(json: &str, connection: Connection, make: impl Fn(StoreProbe<'_>, &Terms<'_>) -> T) -> T {
    let names = BTreeMap::new();
    let terms = terms(&names, connection);
    if json.contains("\"user\"") && !json.contains("\"command\"") {
        let probe: PostgresProbe = serde_json::from_str(json).expect(json);
        assert_eq!(probe.invalid(), []);
        return make(StoreProbe::Postgres(&probe), &terms);
    }
    let probe: RedisProbe = serde_json::from_str(json).expect(json);
    assert_eq!(probe.invalid(), []);
    make(StoreProbe::Redis(&probe), &terms)
}

fn client(json: &str, connection: Connection) -> Box<dyn Ask> {
    with(json, connection, |probe, terms| {
        Clients.client(probe, terms).map_err(|why| format!("{why:?}")).unwrap()
    })
}

fn writer(json: &str, connection: Connection) -> Box<dyn Store> {
    with(json, connection, |probe, terms| {
        Clients.writer(probe, terms).map_err(|why| format!("{why:?}")).unwrap()
    })
}

/// Asks once over a new connection, and returns the cause, or `good`.
async fn asked(json: &str) -> String {
    said(client(json, Connection::New).ask(Instant::now() + LONG).await)
}

/// Asks until something is said.
async fn at_last(json: &str, what: &str) {
    let until = Instant::now() + LONG;
    loop {
        let said = asked(json).await;
        if said == what {
            return;
        }
        assert!(Instant::now() < until, "{said}, and never {what}: {json}");
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

/// Writes more than two pages, reads all of them back, and nothing else.
async fn all_come_back(store: &dyn Store) {
    store.prepare(Instant::now() + LONG).await.unwrap();
    // Whoever else makes it at the same time is no error.
    store.prepare(Instant::now() + LONG).await.unwrap();
    for seq in 0..2_100_u64 {
        let key = format!("r'1:v*\\:{seq}");
        let record = Record { key: &key, seq, value: seq + 5, attempt: 0 };
        assert_eq!(store.write(record, Instant::now() + LONG).await, Written::Acked, "{seq}");
    }
    assert_eq!(write(store, "r'1:vx\\:1", 0).await, "acked");
    let all = found(store, "r'1:v*\\:").await.unwrap();
    let values: BTreeMap<String, u64> = all.iter().map(|one| (one.key.clone(), one.value)).collect();
    assert_eq!((all.len(), values.len()), (2_100, 2_100));
    assert_eq!(values["r'1:v*\\:2099"], 2_104);
    assert_eq!(write(store, "r'1:v*\\:7", 0).await, "no: key exists");
    assert_eq!(write(store, "r'1:v*\\:7", 1).await, "acked");
    assert_eq!(found(store, "nothing").await.unwrap(), []);
}
