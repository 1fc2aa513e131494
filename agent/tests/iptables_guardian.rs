//! A real agent that has blocked a peer by iptables, killed and stopped: rules of this kind outlive their maker, so here
//! it is the guardian that puts back, and where nobody is left it is the kernel's lease that ends the fault.
//!
//! A harness of its own, because the agent forks and so must begin in a process with one thread. All in fresh
//! namespaces. Says how long it took; nothing is asserted about that but that it was not the lease.
#![expect(clippy::unwrap_used, reason = "a test program")]

#[expect(dead_code, reason = "what other tests need of it")]
mod common;

use std::{
    ffi::OsString,
    fs::{self, File},
    net::UdpSocket,
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{alice, ask_arm, ask_prepare, config_text, ready, run_id};
use firedrill_agent::{
    built_in, cli,
    testing::{Netns, address, join, skip, up, wait_until},
    wiring::{Link, Wiring},
};
use firedrill_wire::{Fault, Span, api::Renew};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, kill},
    unistd::{Pid, getuid},
};

/// Tells this program to be an agent.
const AGENT: &str = "be-an-agent";
const LEASE: Span = Span::secs(4);
const PEER: &str = "10.9.0.2";
const FAULT: &str = r#"{"net-block":{"to":["10.9.0.2","fd09::2"],"engine":"iptables"}}"#;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    if args.get(1).is_some_and(|arg| arg == AGENT) {
        let args = args.into_iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, arg)| arg);
        return cli::run(args, Wiring { server: |link| Box::pin(drill(link)), ..built_in::wiring() });
    }
    let words: Vec<String> = args.into_iter().skip(1).filter_map(|arg| arg.into_string().ok()).collect();
    if words.iter().any(|word| word == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let chosen: Vec<_> = TESTS
        .iter()
        .filter(|(name, _)| filters.is_empty() || filters.iter().any(|wanted| name.contains(*wanted)))
        .collect();
    if chosen.is_empty() {
        return ExitCode::SUCCESS;
    }
    if let Err(why) = apart() {
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
    ("worker_killed", |world| by_guardian(world, &[Who::Worker], Signal::SIGKILL)),
    ("guardian_killed", |world| by_guardian(world, &[Who::Guardian], Signal::SIGKILL)),
    ("worker_stopped", |world| by_guardian(world, &[Who::Worker], Signal::SIGSTOP)),
    ("all_stopped", |world| by_lease(world, Signal::SIGSTOP)),
    ("all_killed", |world| by_lease(world, Signal::SIGKILL)),
];

/// Into namespaces of this program's own. Lists of the kernel can be written to by the machine's root only.
fn apart() -> Result<(), String> {
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
async fn drill(link: Link) -> Result<(), String> {
    let run = link.config.paths.run.clone();
    if run.join("drill").exists() {
        let control = link.control;
        tokio::task::spawn_blocking(move || {
            let fault: Fault = serde_json::from_str(FAULT).unwrap();
            let hold = Span::secs(100);
            let prepared =
                ready(control.prepare(&alice(), &run_id(), &ask_prepare(&[("a", fault)], hold)).unwrap());
            control.arm(&alice(), &run_id(), &ask_arm(&prepared, 200, hold, LEASE)).unwrap();
            while control.renew(&run_id(), &Renew { lease: LEASE }).is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        });
    }
    link.stop.cancelled().await;
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Guardian,
    Worker,
    Helper,
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

    /// Sends until a datagram arrives; how long that took.
    fn until_normal(&self) -> Duration {
        let server = self.peer.run(|| UdpSocket::bind((PEER, 0))).unwrap();
        let client = self.here.run(|| UdpSocket::bind("0.0.0.0:0")).unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        server.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        let began = Instant::now();
        wait_until("packets pass", || {
            // Refused as long as it is blocked.
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

/// All rules, without counters and the time of day.
fn saved() -> String {
    let mut all = String::new();
    for name in ["iptables-save", "ip6tables-save"] {
        let output = Command::new(name).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        all.extend(
            text.lines()
                .filter(|line| !line.starts_with('#'))
                .map(|line| line.split(" [").next().unwrap().to_owned() + "\n"),
        );
    }
    all
}

struct Agent {
    dir: tempfile::TempDir,
    guardian: Child,
    processes: Vec<(Who, Pid)>,
}

impl Agent {
    /// Starts one and waits until its fault is in force.
    fn in_force(world: &World) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("agent.toml"), config_text(dir.path(), "start_tolerance = \"20s\"\n"))
            .unwrap();
        fs::create_dir_all(dir.path().join("run")).unwrap();
        fs::write(dir.path().join("run/drill"), "").unwrap();
        let guardian = command(&dir, &["serve"]).spawn().unwrap();
        let mut agent = Self { dir, guardian, processes: Vec::new() };
        let began = Instant::now();
        while !world.is_blocked() {
            let log = || fs::read_to_string(agent.dir.path().join("stderr")).unwrap();
            assert!(began.elapsed() < Duration::from_secs(60), "{}", log());
            thread::sleep(Duration::from_millis(5));
        }
        agent.find();
        agent
    }

    fn find(&mut self) {
        let guardian = i32::try_from(self.guardian.id()).unwrap();
        self.processes.push((Who::Guardian, Pid::from_raw(guardian)));
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(status) = fs::read_to_string(entry.path().join("status")) else { continue };
            let field = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
            if field("PPid:") == Some(guardian.to_string().as_str()) {
                let who = if field("Threads:") == Some("1") { Who::Helper } else { Who::Worker };
                let pid = entry.file_name().into_string().unwrap().parse().unwrap();
                self.processes.push((who, Pid::from_raw(pid)));
            }
        }
        assert_eq!(self.processes.len(), 3, "guardian, worker and helper");
    }

    fn signal(&self, whom: &[Who], signal: Signal) {
        for (_, pid) in self.processes.iter().filter(|(who, _)| whom.contains(who)) {
            // One that has gone already is as good.
            let _ = kill(*pid, signal);
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.signal(&[Who::Guardian, Who::Worker, Who::Helper], Signal::SIGKILL);
        let _ = self.guardian.wait();
    }
}

fn command(dir: &tempfile::TempDir, verb: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let log = File::options().create(true).append(true).open(dir.path().join("stderr")).unwrap();
    command
        .arg(AGENT)
        .args(verb)
        .arg("--config")
        .arg(dir.path().join("agent.toml"))
        .stderr(log)
        .stdin(Stdio::null());
    command
}

fn by_guardian(world: &World, whom: &[Who], signal: Signal) {
    let mut agent = Agent::in_force(world);
    agent.signal(whom, signal);
    let took = world.until_normal();
    eprintln!("{signal} of the {whom:?}: packets pass after {took:.1?}");
    assert!(took < Duration::from(LEASE), "whoever is left, not the lease");
    wait_until("the rules are gone", || !saved().contains("fd_"));
    agent.guardian.wait().unwrap();
}

fn by_lease(world: &World, signal: Signal) {
    let agent = Agent::in_force(world);
    let all = [Who::Helper, Who::Guardian, Who::Worker];
    // Stopped first, so that none of them sees another die.
    agent.signal(&all, Signal::SIGSTOP);
    agent.signal(&all, signal);
    let took = world.until_normal();
    eprintln!("{signal} of all three: packets pass after {took:.1?}, by a lease of {LEASE}");
    assert!(saved().contains("fd_"), "the rules are there, and harm nothing");
    agent.signal(&all, Signal::SIGKILL);
    wait_until("they are gone", || {
        all.len() == agent.processes.iter().filter(|(_, pid)| is_gone(*pid)).count()
    });
    let undo = command(&agent.dir, &["undo", "--all", "--no-halt"]).output().unwrap();
    assert!(undo.status.success());
    assert!(!saved().contains("fd_"));
}

/// Gone, or a zombie that nobody has waited for yet.
fn is_gone(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.lines().any(|line| line.starts_with("State:") && !line.contains("zombie"))
}
