//! Tests of faults on runit services: with a double that speaks runsv's protocol, and with runsv if it is installed.

#[path = "../helpers/runsv.rs"]
mod runsv;
#[path = "../helpers/services.rs"]
mod services;

mod kill_restart;
mod meanwhile;
mod reads;
mod stop;

use std::collections::BTreeMap;

use firedrill_agent::{
    host::process::{Stat, alive},
    injection,
    service::Unit,
    snapshot,
    undo::is_left,
};
use firedrill_wire::{RefusalCode, evidence::Seen, fault::ServiceManager};
use runsv::{Supervised, Which, supervisors};
use services::{Injection, host, until};

const STOP: &str = r#"{"service-stop":{"service":"checkout"}}"#;
const KILL: &str = r#"{"service-kill":{"service":"checkout"}}"#;
const RESTART: &str = r#"{"service-restart":{"service":"checkout"}}"#;
const RUN: &str = "exec sleep 600";
/// A script that ignores TERM, and ends when the test makes the file `end`. It makes the file `deaf` when it ignores TERM.
const STUBBORN: &str = "trap '' TERM; rm -f end; : > deaf; until [ -e end ]; do sleep 0.02; done";

/// Runs a test with each supervisor, in an empty directory.
fn each(test: impl Fn(Which, &std::path::Path)) {
    for which in supervisors() {
        let dir = tempfile::tempdir().expect("tempdir");
        eprintln!("against {which:?}");
        test(which, dir.path());
    }
}

/// Starts a service by [`STUBBORN`], and waits until it ignores TERM.
fn stubborn(which: Which, dir: &std::path::Path, name: &str) -> Supervised {
    let service = Supervised::start(which, dir, name, STUBBORN);
    until("it to ignore TERM", || service.dir.join("deaf").exists());
    service
}

fn name_of(pid: i32) -> firedrill_agent::host::process::Name {
    Stat::read(pid).expect("proc").expect("lives").name
}
