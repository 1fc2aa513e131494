//! Faults that cannot be undone. Each is carried out once and not again when the journal is replayed, and the host is clean at the end.

use firedrill_wire::{Span, journal::State};
use rustix::process::Signal;

use super::{
    Case,
    drill::{Drill, fault},
    host::{Host, Who, World, states, wait},
    inside::ANY,
};

const KINDS: [(&str, &str); 3] = [
    ("service-kill", r#"{"service-kill":{"service":"victim"}}"#),
    ("service-restart", r#"{"service-restart":{"service":"victim"}}"#),
    ("process-kill", r#"{"process-kill":{"match":{"service":"victim"}}}"#),
];
const REBOOT: &str = r#"{"host-reboot":{"back_within":"30s"}}"#;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, json) in KINDS {
        for place in [None, Some("injected")] {
            let name = format!("irreversible::{kind}::{}", place.unwrap_or("in_force"));
            let test = move |w: &World, h: &Host<'_>| w.runtime.block_on(once(w, h, json, place));
            cases.push(Case::new(name, test).with_points(place.is_some()));
        }
    }
    cases.push(Case::new("irreversible::host-reboot", |w, h| w.runtime.block_on(reboot(w, h))));
    cases
}

/// Kills all processes of the agent after the fault was carried out: at a place in its code, or when the fault is in force.
async fn once(world: &World, host: &Host<'_>, json: &str, place: Option<&str>) {
    let before = host.quiet().await;
    let pid = host.victim();
    let processes = host.processes().await;
    let mut drill = Drill::prepare(world, host, &[fault(json)]).await;
    if let Some(place) = place {
        host.inside(&["stop-at", place]);
    }
    drill.begin(&[0], Span::millis(50)).await;
    if place.is_some() {
        host.inside(&["reached", ANY]);
    }
    let mut new = None;
    wait("the service to be up again", async || {
        new = host.victim();
        new.is_some() && new != pid
    })
    .await;
    processes.signal(Who::ALL, Signal::KILL);
    if place.is_some() {
        host.inside(&["go-on"]);
    }
    let after = host.clean(&before, &drill.run).await;
    assert_eq!(host.victim(), new, "the fault was carried out again");
    let (states, _) = states(&after, &drill.ids[0]);
    assert_eq!(states, [State::Armed, State::Injecting, State::Done], "{}", host.story());
}

/// The fault ends all processes of the agent by itself.
async fn reboot(world: &World, host: &Host<'_>) {
    let before = host.quiet().await;
    let boots = host.boots();
    let mut drill = Drill::prepare(world, host, &[fault(REBOOT)]).await;
    drill.begin(&[0], Span::secs(1)).await;
    wait("the host to be booted", async || host.boots() > boots).await;
    drill.silence();
    host.healed().await;
    let after = host.clean(&before, &drill.run).await;
    assert_ne!(after.snapshot.boot_id, before.snapshot.boot_id);
    // Another start of the agent does not carry the fault out again either.
    host.processes().await.signal(Who::ALL, Signal::KILL);
    let after = host.clean(&before, &drill.run).await;
    assert_eq!(host.boots(), boots + 1);
    assert_eq!(
        states(&after, &drill.ids[0]).0,
        [State::Armed, State::Injecting, State::Done],
        "{}",
        host.story()
    );
}
