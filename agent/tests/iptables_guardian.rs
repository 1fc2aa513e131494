//! Real agents that have blocked a peer by iptables and whose processes are killed and stopped. Such rules outlive their maker, so the
//! guardian has to undo them; if no process is left, the lease in the kernel ends the fault.
//!
//! Has a separate test harness, because the agent forks. Everything runs in fresh namespaces. Prints the times of undos; asserts only
//! that a process undid the fault before its lease ended.
#![expect(clippy::unwrap_used, reason = "a test program")]

#[expect(dead_code, reason = "what other tests need of it")]
#[path = "helpers/fakes.rs"]
mod fakes;
#[path = "helpers/harness.rs"]
mod harness;

use std::{
    fs,
    net::UdpSocket,
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use fakes::{alice, ask_arm, ask_prepare, config_text, ready, run_id};
use firedrill_agent::{
    built_in,
    testing::{Netns, address, join, skip, up, wait_until},
    wiring::{ServerParts, Wiring},
};
use firedrill_wire::{Fault, Span};
use harness::{Part, Processes, Who, begin, command, renew_while};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::getuid,
};
use rustix::process::Signal;

const LEASE: Span = Span::secs(4);
const PEER: &str = "10.9.0.2";
const FAULT: &str = r#"{"net-block":{"to":["10.9.0.2","fd09::2"],"engine":"iptables"}}"#;

fn main() -> ExitCode {
    let chosen =
        match begin(TESTS, || Wiring { server: |parts| Box::pin(drill(parts)), ..built_in::wiring() }) {
            Part::Done(code) => return code,
            Part::Tests(tests) if tests.is_empty() => return ExitCode::SUCCESS,
            Part::Tests(tests) => tests,
        };
    if let Err(why) = enter_namespaces() {
        skip(&format!("agents that block by iptables: {why}"));
        return ExitCode::SUCCESS;
    }
    let world = World::new();
    for (name, test) in chosen {
        // A panic ends the program, and with it all that was started.
        test(&world);
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

type Test = (&'static str, fn(&World));

const TESTS: &[Test] = &[
    ("worker_killed", |world| by_guardian(world, &[Who::Worker], Signal::KILL)),
    ("guardian_killed", |world| by_guardian(world, &[Who::Guardian], Signal::KILL)),
    ("worker_stopped", |world| by_guardian(world, &[Who::Worker], Signal::STOP)),
    ("all_stopped", |world| by_lease(world, Signal::STOP)),
    ("all_killed", |world| by_lease(world, Signal::KILL)),
    ("worker_killed_while_staged", |_| staged(&[Who::Worker], None)),
    ("guardian_killed_while_staged", |_| staged(&[Who::Guardian], None)),
    ("all_killed_while_staged_then_undo_all", |_| staged(&Processes::ALL, Some(&["undo", "--all"]))),
    ("all_killed_while_staged_then_swept", |_| staged(&Processes::ALL, Some(&["sweep"]))),
    ("all_killed_while_staged_then_started", |_| staged(&Processes::ALL, Some(&["serve"]))),
    ("chains_that_no_journal_has_are_removed", unknown_chains),
];

/// Moves this program into fresh namespaces. Only the machine's root can write to the kernel's lists of recent packets, which are the gates.
fn enter_namespaces() -> Result<(), String> {
    if !getuid().is_root() || !fs::read_to_string("/proc/self/uid_map").unwrap().contains("4294967295") {
        return Err("only the machine's root may write to the kernel's lists".to_owned());
    }
    let there = |name: &str| {
        ["/usr/sbin", "/sbin"].iter().any(|place| fs::exists(format!("{place}/{name}")).unwrap())
    };
    if !there("iptables-restore") || !there("ip6tables-restore") {
        return Err("no iptables is installed".to_owned());
    }
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).map_err(|error| error.to_string())?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).map_err(|error| error.to_string())?;
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), None::<&str>)
        .map_err(|error| error.to_string())
}

/// The coordinator, inside the worker.
async fn drill(parts: ServerParts) -> Result<(), String> {
    let run = parts.config.paths.run.clone();
    if run.join("drill").exists() {
        let control = parts.control;
        tokio::task::spawn_blocking(move || {
            let fault: Fault = serde_json::from_str(FAULT).unwrap();
            let hold = Span::secs(100);
            let prepared =
                ready(control.prepare(&alice(), &run_id(), &ask_prepare(&[("a", fault)], hold)).unwrap());
            let ahead = fs::read_to_string(run.join("drill")).unwrap().parse().unwrap();
            control.arm(&alice(), &run_id(), &ask_arm(&prepared, ahead, hold, LEASE)).unwrap();
            renew_while(&*control, LEASE, || true);
        });
    }
    parts.stop.cancelled().await;
    Ok(())
}

struct World {
    peer: Netns,
    here: Netns,
}

impl World {
    fn new() -> Self {
        let here = Netns::current();
        up(&here, "lo");
        let peer = Netns::fresh();
        join(&here, "eth0", &peer, "peer0");
        address(&here, "eth0", "10.9.0.1/24");
        address(&peer, "peer0", "10.9.0.2/24");
        Self { peer, here }
    }

    /// Sends until a datagram arrives; returns how long that took.
    fn until_normal(&self) -> Duration {
        let server = self.peer.run(|| UdpSocket::bind((PEER, 0))).unwrap();
        let client = self.here.run(|| UdpSocket::bind("0.0.0.0:0")).unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        server.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        let began = Instant::now();
        wait_until("packets pass", || {
            // Sending fails while the peer is blocked.
            let _ = client.send(b"x");
            server.recv(&mut [0; 8]).is_ok()
        });
        began.elapsed()
    }

    fn is_blocked(&self) -> bool {
        let server = self.peer.run(|| UdpSocket::bind((PEER, 0))).unwrap();
        let client = self.here.run(|| UdpSocket::bind("0.0.0.0:0")).unwrap();
        client.send_to(b"x", server.local_addr().unwrap()).is_err()
    }
}

/// Returns all rules, without counters and the time of day.
fn saved() -> String {
    let mut rules = String::new();
    for name in ["iptables-save", "ip6tables-save"] {
        let output = Command::new(name).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        rules.extend(
            text.lines()
                .filter(|line| !line.starts_with('#'))
                .map(|line| line.split(" [").next().unwrap().to_owned() + "\n"),
        );
    }
    rules
}

/// An agent with a fault.
struct Agent {
    dir: tempfile::TempDir,
    guardian: Child,
    processes: Processes,
}

impl Agent {
    /// Starts an agent whose fault starts this many milliseconds after it was armed.
    fn drilling(ahead: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("agent.toml"), config_text(dir.path(), "start_tolerance = \"20s\"\n"))
            .unwrap();
        fs::create_dir_all(dir.path().join("run")).unwrap();
        fs::write(dir.path().join("run/drill"), ahead.to_string()).unwrap();
        // A start that is far ahead is for the tests of staging: the agent stops once the fault is staged.
        if ahead >= 1000 {
            fs::write(dir.path().join("run/crash-point"), "staged").unwrap();
        }
        let guardian = command(&dir, &["serve"]).spawn().unwrap();
        Self { dir, guardian, processes: Processes::default() }
    }

    /// Starts an agent and waits until its fault is in force.
    fn in_force(world: &World) -> Self {
        let mut agent = Self::drilling(200);
        let began = Instant::now();
        while !world.is_blocked() {
            let log = || fs::read_to_string(agent.dir.path().join("stderr")).unwrap();
            assert!(began.elapsed() < Duration::from_secs(60), "{}", log());
            thread::sleep(Duration::from_millis(5));
        }
        agent.processes = Processes::of(agent.guardian.id());
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.guardian.kill();
        let _ = self.guardian.wait();
    }
}

fn by_guardian(world: &World, whom: &[Who], signal: Signal) {
    let mut agent = Agent::in_force(world);
    whom.iter().for_each(|who| agent.processes.signal(*who, signal));
    let took = world.until_normal();
    eprintln!("{signal:?} of the {whom:?}: packets pass after {took:.1?}");
    assert!(took < Duration::from(LEASE), "a process that was left undid it, before the lease ended");
    wait_until("the rules are gone", || !saved().contains("fd_"));
    agent.guardian.wait().unwrap();
}

/// The fault has not started, but its chains exist, with their gates closed.
fn staged(whom: &[Who], verb: Option<&[&str]>) {
    if !cfg!(debug_assertions) {
        skip("agents that die while a fault is staged: they need a build with debug assertions");
        return;
    }
    let mut agent = Agent::drilling(3000);
    let run = agent.dir.path().join("run");
    wait_until("the fault is staged", || run.join("crash-point.reached").exists());
    agent.processes = Processes::of(agent.guardian.id());
    assert!(saved().contains("fd_"), "nothing is staged, so nothing could be proven");
    agent.processes.stop(whom);
    whom.iter().for_each(|who| agent.processes.signal(*who, Signal::KILL));
    fs::remove_file(run.join("crash-point")).unwrap();
    let Some(verb) = verb else {
        wait_until("the chains are gone", || !saved().contains("fd_"));
        agent.guardian.wait().unwrap();
        return;
    };
    wait_until("they are gone", || Processes::ALL.iter().all(|who| agent.processes.is_gone(*who)));
    assert!(saved().contains("fd_"), "chains outlive their makers");
    fs::remove_file(run.join("drill")).unwrap();
    agent.guardian.wait().unwrap();
    agent.guardian = command(&agent.dir, verb).stdout(Stdio::piped()).spawn().unwrap();
    wait_until("the chains are gone", || !saved().contains("fd_"));
    if verb == ["serve"] {
        rustix::process::kill_process(rustix::process::Pid::from_child(&agent.guardian), Signal::TERM)
            .unwrap();
    }
    assert!(agent.guardian.wait().unwrap().success());
}

fn unknown_chains(_: &World) {
    let iptables = |words: &[&str]| {
        let done = Command::new("iptables").env("PATH", "/usr/sbin:/sbin").args(words).status().unwrap();
        assert!(done.success(), "{words:?}");
    };
    let agent = Agent::drilling(200);
    fs::remove_file(agent.dir.path().join("run/drill")).unwrap();
    wait_until("the agent serves", || agent.dir.path().join("run/control.sock").exists());
    let before = {
        iptables(&["-N", "administrators"]);
        iptables(&["-A", "INPUT", "-j", "administrators"]);
        saved()
    };
    for name in ["fd_0123456ab_i", "fd_lost"] {
        iptables(&["-N", name]);
        iptables(&["-I", "INPUT", "-p", "tcp", "-j", name]);
        iptables(&["-A", name, "-j", "DROP"]);
    }
    let undo = command(&agent.dir, &["undo", "--all", "--no-halt"]).output().unwrap();
    assert!(undo.status.success());
    let stdout = String::from_utf8(undo.stdout).unwrap();
    assert!(stdout.contains("fd_0123456ab_i, fd_lost of table filter"), "{stdout}");
    assert_eq!(saved(), before, "only the chains with the prefix are gone");
    iptables(&["-D", "INPUT", "-j", "administrators"]);
    iptables(&["-X", "administrators"]);
}

fn by_lease(world: &World, signal: Signal) {
    let agent = Agent::in_force(world);
    let signal_all = |signal| Processes::ALL.iter().for_each(|who| agent.processes.signal(*who, signal));
    // All are stopped first, so that none of them sees another die.
    agent.processes.stop(&Processes::ALL);
    signal_all(signal);
    let took = world.until_normal();
    eprintln!("{signal:?} of all three: packets pass after {took:.1?}, by a lease of {LEASE}");
    assert!(saved().contains("fd_"), "the rules still exist, but have no effect");
    signal_all(Signal::KILL);
    wait_until("they are gone", || Processes::ALL.iter().all(|who| agent.processes.is_gone(*who)));
    let undo = command(&agent.dir, &["undo", "--all", "--no-halt"]).output().unwrap();
    assert!(undo.status.success());
    assert!(!saved().contains("fd_"));
}
