//! Asks a probe a single time, outside of any schedule. Counts and judges nothing.

use std::time::Duration;

use firedrill_wire::probe::ProbeSpec;
use tokio::time::{Instant, timeout_at};

use crate::{
    ask::{Due, Means},
    check::refusals,
    clock::boot_us,
    kind::{self, stores::Stores},
    outcome::{Cause, Failure},
    reads::Reads,
};

/// Sends the request of a probe once, within its time-out. Rate, arrivals and connection have no effect. Secrets and authorities are
/// read by `reads`; `stores` has the clients of stores. Needs a runtime with I/O and time.
///
/// # Errors
/// There is no good answer. The error gives the reason: a cause as in the tables of probes, or a refusal of the probe.
pub async fn once(spec: &ProbeSpec, reads: &dyn Reads, stores: &dyn Stores) -> Result<(), String> {
    if let Some(refusal) = refusals(spec).into_iter().next() {
        return Err(refusal.what);
    }
    let ask = kind::of(&spec.kind).make(spec, Means { reads, stores }).map_err(|wrong| {
        wrong.into_iter().next().map_or_else(|| "it cannot be asked".to_owned(), |refusal| refusal.what)
    })?;
    let until = Instant::now() + Duration::from_micros(spec.timeout.as_micros());
    match timeout_at(until, ask.ask(Due { us: boot_us() }, until)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(Failure::Bad(cause))) => Err(cause.to_string()),
        Ok(Err(Failure::Vantage)) => Err("this machine could not send the request".to_owned()),
        Err(_) => Err(Cause::Timeout.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Write as _, net::TcpListener};

    use firedrill_wire::{
        Span,
        probe::{Arrivals, Connection, ProbeKind, TcpProbe},
    };

    use super::*;
    use crate::{Anything, NoStores};

    fn spec(address: &str, expect: &str) -> ProbeSpec {
        let tcp = serde_json::json!({ "address": address, "expect": expect });
        let tcp: TcpProbe = serde_json::from_value(tcp).unwrap();
        ProbeSpec {
            name: "leader".to_owned(),
            kind: ProbeKind::Tcp(tcp),
            rate: 1.0,
            arrivals: Arrivals::Even,
            key: 0,
            timeout: Span::millis(500),
            connection: Connection::New,
            names: BTreeMap::new(),
        }
    }

    #[tokio::test]
    async fn one_good_answer_is_good_and_others_have_their_cause() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap().to_string();
        let served = std::thread::spawn(move || {
            for _ in 0..2 {
                server.accept().unwrap().0.write_all(b"role:master\n").unwrap();
            }
            server
        });
        assert_eq!(once(&spec(&address, "role:master"), &Anything, &NoStores).await, Ok(()));
        assert_eq!(once(&spec(&address, "role:slave"), &Anything, &NoStores).await, Err("answer".to_owned()));
        // Nobody answers any more, but the port is open.
        let server = served.join().unwrap();
        assert_eq!(
            once(&spec(&address, "role:master"), &Anything, &NoStores).await,
            Err("timeout".to_owned())
        );
        drop(server);
        assert_eq!(
            once(&spec(&address, "role:master"), &Anything, &NoStores).await,
            Err("refused".to_owned())
        );
    }

    #[tokio::test]
    async fn a_probe_that_cannot_be_is_not_asked() {
        let why = once(&spec("nowhere", "x"), &Anything, &NoStores).await.unwrap_err();
        assert!(why.contains("nowhere"), "{why}");
    }
}
