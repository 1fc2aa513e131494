//! A clock that is stepped back an hour prolongs no fault: the kernel's timers end it, and not the time of day.
//!
//! Steps the machine's clock, and so runs in the emulated machine only (`tests/kernel/run.sh`), and alone.

#![expect(clippy::unwrap_used, reason = "all of this is tests, their helpers too")]

#[expect(dead_code, reason = "what other tests need of it")]
#[path = "net_faults/world.rs"]
mod world;

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use firedrill_agent::{
    sandboxed,
    testing::{skip, wait_until},
};
use firedrill_wire::{Fault, Span};
use world::{Injection, PEER4, Reach, World};

/// A fault for each engine that blocks all traffic: a connection is not waited for as long as two seconds.
const FAULTS: [&str; 4] = [
    r#"{"net-block":{"to":"10.1.0.2","engine":"kernel"}}"#,
    r#"{"net-block":{"to":"10.1.0.2","engine":"iptables"}}"#,
    r#"{"net-slow":{"to":"10.1.0.2","delay":"2s","engine":"kernel"}}"#,
    r#"{"net-slow":{"to":"10.1.0.2","delay":"2s","engine":"user-space"}}"#,
];
const HOUR: Duration = Duration::from_secs(3_600);
const SHORT: Span = Span::secs(4);
const LONG: Span = Span::secs(600);

/// The clock stays an hour back until this is dropped.
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

sandboxed! {
    fn stepped_back_an_hour_it_prolongs_neither_lease_nor_hold() {
        if std::env::var_os("FIREDRILL_VM").is_none() {
            return skip("a clock that is stepped back: only a machine that is there for it has its clock stepped");
        }
        let world = World::new();
        for json in FAULTS {
            let fault: Fault = serde_json::from_str(json).unwrap();
            for (what, lease, hold) in [("lease", SHORT, LONG), ("hold", LONG, SHORT)] {
                let injection = Injection::with(&world, &fault, lease, hold);
                let began = Instant::now();
                assert_eq!(world.tcp_out(PEER4, 8080), Reach::No, "{json}");
                let back = Back::step();
                assert_eq!(world.tcp_out(PEER4, 8080), Reach::No, "{json}");
                wait_until("it is lifted", || world.tcp_out(PEER4, 8080) == Reach::Yes);
                eprintln!("{json}: lifted {:.1?} after it began, by a {what} of {SHORT}", began.elapsed());
                drop(back);
                injection.undo();
                assert_eq!(world.tcp_out(PEER4, 8080), Reach::Yes, "{json}");
            }
        }
    }
}
