//! A wall clock that is set back an hour prolongs no fault: faults end by the kernel's timers, which do not depend on the time of day.
//!
//! Sets the machine's clock, and so runs only in the emulated machine (`tests/kernel/run.sh`), and alone.

#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

#[expect(dead_code, reason = "what other tests need of it")]
#[path = "net_faults/world.rs"]
mod world;

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use firedrill_agent::{
    sandboxed,
    testing::{skip, wait_until},
};
use firedrill_wire::{Fault, Span};
use world::{Injection, PEER4, Reach, World};

/// A fault for each engine that makes a peer unreachable. A delay of two seconds does so, too: the test waits less for a connection.
const FAULTS: [&str; 4] = [
    r#"{"net-block":{"to":"PEER","engine":"kernel"}}"#,
    r#"{"net-block":{"to":"PEER","engine":"iptables"}}"#,
    r#"{"net-slow":{"to":"PEER","delay":"2s","engine":"kernel"}}"#,
    r#"{"net-slow":{"to":"PEER","delay":"2s","engine":"user-space"}}"#,
];
/// The peer whose fault ends by its lease.
const BY_LEASE: &str = PEER4;
/// The peer whose fault ends by its hold.
const BY_HOLD: &str = "10.2.0.2";
const HOUR: Duration = Duration::from_secs(3_600);
const SHORT: Span = Span::secs(4);
const LONG: Span = Span::secs(600);

/// Keeps the clock an hour back until this is dropped.
struct Back;

impl Back {
    fn step() -> Self {
        set(SystemTime::now() - HOUR);
        Self
    }
}

impl Drop for Back {
    fn drop(&mut self) {
        set(SystemTime::now() + HOUR);
    }
}

fn set(to: SystemTime) {
    let seconds = to.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let status = Command::new("date").args(["-s", &format!("@{seconds}")]).stdout(Stdio::null()).status();
    assert!(status.unwrap().success());
}

/// Tries to reach both peers at once, because a lease leaves little time.
fn both(world: &World) -> [Reach; 2] {
    thread::scope(|scope| {
        let tries = [BY_LEASE, BY_HOLD].map(|peer| scope.spawn(|| world.tcp_out(peer, 8080)));
        tries.map(|thread| thread.join().unwrap())
    })
}

sandboxed! {
    fn a_clock_that_is_set_back_an_hour_prolongs_neither_lease_nor_hold() {
        if std::env::var_os("FIREDRILL_VM").is_none() {
            return skip("a clock that is stepped back: only a machine that is there for it has its clock stepped");
        }
        let world = World::new();
        for peer in [BY_LEASE, BY_HOLD] {
            world.wait_reached(peer);
        }
        for json in FAULTS {
            let make = |peer: &str, lease, hold| {
                let fault: Fault = serde_json::from_str(&json.replace("PEER", peer)).unwrap();
                Injection::with(&world, &fault, lease, hold)
            };
            let injections = [make(BY_LEASE, SHORT, LONG), make(BY_HOLD, LONG, SHORT)];
            let began = Instant::now();
            assert_eq!(both(&world), [Reach::No; 2], "{json}");
            let back = Back::step();
            assert_eq!(both(&world), [Reach::No; 2], "{json}");
            let mut lifted = [None; 2];
            wait_until("both are lifted", || {
                for (lifted, reach) in lifted.iter_mut().zip(both(&world)) {
                    let now = (reach == Reach::Yes).then(|| began.elapsed());
                    *lifted = lifted.or(now);
                }
                lifted.iter().all(Option::is_some)
            });
            let [by_lease, by_hold] = lifted.map(Option::unwrap);
            eprintln!("{json}: {SHORT} of lease lifted it after {by_lease:.1?}, {SHORT} of hold after {by_hold:.1?}");
            drop(back);
            injections.iter().for_each(Injection::undo);
            assert_eq!(both(&world), [Reach::Yes; 2], "{json}");
        }
    }
}
