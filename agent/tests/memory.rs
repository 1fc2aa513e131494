//! An agent's memory does not grow with use: after a hundred drills its three processes use no more than after ten.
//!
//! Has a separate test harness, because the agent forks. The coordinator runs inside the worker. Each drill is a new run
//! by a new caller: it is prepared, blocks a peer, is undone, is compared with its snapshot, and is recorded in the audit.
#![expect(clippy::unwrap_used, reason = "a test program")]

#[expect(dead_code, reason = "what other tests need of it")]
#[path = "helpers/fakes.rs"]
mod fakes;
#[expect(dead_code, reason = "what other tests need of it")]
#[path = "helpers/harness.rs"]
mod harness;

use std::{
    fs,
    path::Path,
    process::ExitCode,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use fakes::{alice, ask_arm, ask_prepare, config_text, ready};
use firedrill_agent::{
    audit::Request,
    built_in,
    control::{Caller, Certificate, Control},
    host::process,
    testing::{Netns, skip, up},
    wiring::{ServerParts, Wiring},
};
use firedrill_wire::{
    Fault, RunId, Span,
    api::{HostState, Renew, Undo, UndoScope},
    journal::State,
};
use harness::{Part, begin, command};
use nix::sched::{CloneFlags, unshare};

/// The number of drills before the first measurement.
const FEW: u32 = 10;
/// The default number of drills before the second measurement; `FIREDRILL_DRILLS` sets another.
const MANY: u32 = 100;
/// Tolerance in KiB for the kernel's granularity and for one busy thread more or less.
const NOISE_KIB: u64 = 256;

fn main() -> ExitCode {
    let wiring = || Wiring { server: |parts| Box::pin(drills(parts)), ..built_in::wiring() };
    let tests = match begin(&[("many_drills", many_drills as fn())], wiring) {
        Part::Done(code) => return code,
        Part::Tests(tests) => tests,
    };
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        skip(&format!("many drills: this user may not make namespaces here ({error})"));
        return ExitCode::SUCCESS;
    }
    up(&Netns::current(), "lo");
    for (name, test) in tests {
        // A panic ends the program, and with it all that was started.
        test();
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

/// The coordinator, inside the worker: as many drills as the file `wanted` says.
async fn drills(parts: ServerParts) -> Result<(), String> {
    let dir = parts.config.paths.run.clone();
    let control = parts.control;
    tokio::task::spawn_blocking(move || {
        let mut done = 0;
        loop {
            let wanted = fs::read_to_string(dir.join("wanted")).ok().and_then(|text| text.parse().ok());
            if done < wanted.unwrap_or(0) {
                done += 1;
                // Each drill runs in a new thread, like the calls of a real coordinator.
                let control = Arc::clone(&control);
                thread::spawn(move || drill(&*control, done)).join().unwrap();
                fs::write(dir.join("done"), done.to_string()).unwrap();
            } else {
                thread::sleep(Duration::from_millis(20));
            }
        }
    });
    parts.stop.cancelled().await;
    Ok(())
}

/// Returns the caller as a new connection brings it: with a new copy of the chain of certificates.
fn connected() -> Caller {
    let chain = (1..=2_u8).map(|byte| vec![byte; 1000].into()).collect();
    let certificate = Arc::new(Certificate { serial: "4f01".to_owned(), chain });
    Caller { certificate: Some(certificate), ..alice() }
}

fn drill(control: &dyn Control, number: u32) {
    let caller = connected();
    let fault: Fault =
        serde_json::from_str(r#"{"net-block":{"to":["192.0.2.1"],"engine":"kernel"}}"#).unwrap();
    let (run, hold): (RunId, _) = (format!("run-{number}").parse().unwrap(), Span::secs(60));
    let id = format!("run-{number}-1-1");
    let prepared = ready(control.prepare(&caller, &run, &ask_prepare(&[(&id, fault)], hold)).unwrap());
    control.arm(&caller, &run, &ask_arm(&prepared, 0, hold, hold)).unwrap();
    control.renew(&caller, &run, &Renew { lease: hold }).unwrap();
    let began = Instant::now();
    while !control.status().open.iter().any(|injection| injection.state == State::InForce) {
        assert!(began.elapsed() < Duration::from_secs(60), "drill {number} does not start");
        thread::sleep(Duration::from_millis(1));
    }
    let answer = control.undo(&caller, &Undo { scope: UndoScope::Run(run.clone()), halt: false });
    assert_eq!(answer.injections[0].state, State::Undone);
    assert_eq!(control.finish(&run).unwrap().state, HostState::Clean);
    // The server records its answers in the same way.
    for what in ["prepare", "arm", "renew", "undo"] {
        control.audit(Request { run: run.to_string(), ..Request::by(&caller, what) });
    }
}

/// Returns the memory of the three processes together, in KiB: private memory, and their parts of shared memory.
fn memory(guardian: i32) -> u64 {
    let processes = process::all().unwrap();
    let ours = processes.iter().filter(|stat| stat.name.pid == guardian || stat.ppid == guardian);
    let share = |pid: i32| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("Pss_Anon:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    ours.map(|stat| share(stat.name.pid)).sum()
}

/// Lets the agent make drills, and returns its memory afterwards, in KiB.
fn after(dir: &Path, guardian: i32, drills: u32) -> u64 {
    fs::write(dir.join("run/wanted"), drills.to_string()).unwrap();
    let began = Instant::now();
    while fs::read_to_string(dir.join("run/done")).unwrap_or_default() != drills.to_string() {
        let log = || fs::read_to_string(dir.join("stderr")).unwrap();
        assert!(began.elapsed() < Duration::from_secs(600), "{}", log());
        thread::sleep(Duration::from_millis(20));
    }
    // The memory of the calls is returned to the system after some quiet seconds.
    let mut least = u64::MAX;
    let mut same = 0;
    while same < 20 {
        thread::sleep(Duration::from_millis(500));
        let now = memory(guardian);
        same = if now < least { 0 } else { same + 1 };
        least = now.min(least);
    }
    eprintln!("after {drills} drills: {least} KiB; {} files are open", open_files(guardian));
    least
}

/// Returns the number of open files of the three processes together.
fn open_files(guardian: i32) -> usize {
    let processes = process::all().unwrap();
    let ours = processes.iter().filter(|stat| stat.name.pid == guardian || stat.ppid == guardian);
    ours.map(|stat| fs::read_dir(format!("/proc/{}/fd", stat.name.pid)).unwrap().count()).sum()
}

fn many_drills() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("agent.toml"), config_text(dir.path(), "start_tolerance = \"20s\"\n")).unwrap();
    let mut agent = command(&dir, &["serve"]).spawn().unwrap();
    let guardian = i32::try_from(agent.id()).unwrap();
    let few = after(dir.path(), guardian, FEW);
    let files = open_files(guardian);
    let many = std::env::var("FIREDRILL_DRILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(MANY);
    let many = after(dir.path(), guardian, many);
    let more_files = open_files(guardian);
    let _ = agent.kill();
    let _ = agent.wait();
    assert!(many <= few + NOISE_KIB, "{few} KiB after {FEW} drills, {many} after many");
    assert_eq!(files, more_files, "open files");
}
