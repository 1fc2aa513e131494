//! The clients against real servers of PostgreSQL and Redis, started on loopback addresses of this process and ended by their pids.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod postgres;
mod programs;
mod redis;

use std::{collections::BTreeMap, time::Duration};

use firedrill_probe::{
    Anything, StoreProbe, Stores as _, Terms,
    client::{Ask, Due, Failure, Phases},
};
use firedrill_stores::Clients;
use firedrill_wire::probe::{Arrivals, Connection, Kind as _, ProbeKind, ProbeSpec};
use tokio::time::Instant;

/// Longer than any server needs, if it answers at all.
const LONG: Duration = Duration::from_secs(20);

/// A request that is due at no certain time.
const DUE: Due = Due { us: 0 };

fn client(json: &str, connection: Connection) -> Box<dyn Ask> {
    let kind = if json.contains("\"command\"") {
        ProbeKind::Redis(serde_json::from_str(json).expect(json))
    } else {
        ProbeKind::Postgres(serde_json::from_str(json).expect(json))
    };
    let spec = ProbeSpec {
        name: "store".to_owned(),
        kind,
        rate: 1.0,
        arrivals: Arrivals::Even,
        key: 0,
        timeout: LONG.into(),
        connection,
        names: BTreeMap::new(),
    };
    let terms = Terms { spec: &spec, reads: &Anything };
    let made = match &spec.kind {
        ProbeKind::Postgres(probe) => {
            assert_eq!(probe.invalid(), []);
            Clients.client(StoreProbe::Postgres(probe), &terms)
        }
        ProbeKind::Redis(probe) => {
            assert_eq!(probe.invalid(), []);
            Clients.client(StoreProbe::Redis(probe), &terms)
        }
        other => unreachable!("{other:?}"),
    };
    made.map_err(|why| format!("{why:?}")).unwrap()
}
/// Asks once over a new connection, and returns the cause, or `good`.
async fn asked(json: &str) -> String {
    said(client(json, Connection::New).ask(DUE, Instant::now() + LONG).await)
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
