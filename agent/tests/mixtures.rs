//! Real agents whose three processes run, are stopped or are killed, in every combination, without a service manager: a
//! process that is left undoes what is in force. If none is left, the kernel ends what it gates, and the next agent
//! that starts undoes the rest.
//!
//! Each agent has stopped a process (an effect in user space) and blocked a peer by nftables (an effect in the kernel). Has a separate
//! test harness, because the agent forks; each agent has fresh network namespaces.
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
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use fakes::{alice, ask_arm, ask_prepare, config_text, ready, run_id, wait};
use firedrill_agent::{
    built_in,
    host::process::{self, Stat},
    testing::{Netns, address, join, skip},
    wiring::{ServerParts, Wiring},
};
use firedrill_wire::{Fault, Span};
use harness::{Part, Processes, Who, begin, command, renew_while};
use nix::sched::{CloneFlags, unshare};
use rustix::process::Signal;

/// Number of agents at the same time. They wait more than they compute.
const AT_ONCE: usize = 6;
const PEER: &str = "10.9.0.2";
const TIMINGS: &str =
    "start_tolerance = \"20s\"\nstale_after = \"1s\"\ngrace = \"500ms\"\nundo_budget = \"2s\"\n";
/// A hold and lease longer than every time-out of the processes: if a fault is undone before, a process did it.
const LONG: Span = Span::secs(300);
/// The hold of faults that the kernel ends by itself.
const SHORT: Span = Span::secs(3);

/// The state into which a test puts a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lot {
    Runs,
    Stopped,
    Killed,
}

use Lot::{Killed, Runs, Stopped};

/// Guardian, worker, helper.
type Mixture = (Lot, Lot, Lot);

fn main() -> ExitCode {
    let tests: Vec<(&'static str, Mixture)> = mixtures();
    let tests: &'static [(&'static str, Mixture)] = tests.leak();
    let wiring = || Wiring { server: |parts| Box::pin(drill(parts)), ..built_in::wiring() };
    let chosen = match begin(tests, wiring) {
        Part::Done(code) => return code,
        Part::Tests(tests) if tests.is_empty() => return ExitCode::SUCCESS,
        Part::Tests(tests) => tests,
    };
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        skip(&format!("agents that block a peer: this user may not make namespaces here ({error})"));
        return ExitCode::SUCCESS;
    }
    let left = Mutex::new(chosen.into_iter());
    let failed = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = left.lock().unwrap().next();
                    let Some((name, mixture)) = next else { break };
                    let ok = thread::scope(|scope| scope.spawn(|| is_undone(*mixture)).join().is_ok());
                    println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
                    failed.fetch_add(u32::from(!ok), Ordering::Relaxed);
                }
            });
        }
    });
    if failed.into_inner() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns all combinations of states of the three processes, except the one in which all run.
fn mixtures() -> Vec<(&'static str, Mixture)> {
    let states = [Runs, Stopped, Killed];
    let mut mixtures = Vec::new();
    for guardian in states {
        for worker in states {
            for helper in states {
                let name = format!("guardian_{guardian:?}_worker_{worker:?}_helper_{helper:?}");
                mixtures.push((&*name.to_lowercase().leak(), (guardian, worker, helper)));
            }
        }
    }
    // In the first one all run.
    mixtures.remove(0);
    mixtures
}

/// The coordinator, inside the worker.
async fn drill(parts: ServerParts) -> Result<(), String> {
    let run = parts.config.paths.run.clone();
    if let Ok(text) = fs::read_to_string(run.join("drill")) {
        let control = parts.control;
        tokio::task::spawn_blocking(move || {
            let (victim, lease) = text.split_once(' ').unwrap();
            let lease: Span = lease.parse().unwrap();
            let fault = |json: String| -> Fault { serde_json::from_str(&json).unwrap() };
            let faults = [
                ("pause", fault(format!(r#"{{"process-pause":{{"match":{{"command":"{victim}"}}}}}}"#))),
                ("block", fault(format!(r#"{{"net-block":{{"to":["{PEER}"],"engine":"kernel"}}}}"#))),
            ];
            let prepared = ready(control.prepare(&alice(), &run_id(), &ask_prepare(&faults, LONG)).unwrap());
            control.arm(&alice(), &run_id(), &ask_arm(&prepared, 200, LONG, lease)).unwrap();
            renew_while(&*control, lease, || run.join("drill").exists());
        });
    }
    parts.stop.cancelled().await;
    Ok(())
}

/// A host with an agent, a process that it stops, and a peer that it blocks.
struct Agent {
    dir: tempfile::TempDir,
    victim: Child,
    guardian: Child,
    processes: Processes,
    here: Netns,
    peer: Netns,
}

impl Agent {
    /// Starts an agent and waits until both faults are in force.
    fn in_force(lease: Span) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (here, peer) = (Netns::fresh(), Netns::fresh());
        join(&here, "eth0", &peer, "peer0");
        address(&here, "eth0", "10.9.0.1/24");
        address(&peer, "peer0", "10.9.0.2/24");
        // The fault finds the process by its argument, so no other process may sleep for this time.
        let length = format!("{}.{:07}", 80_000 + number, std::process::id());
        let victim = Command::new("sleep").arg(&length).spawn().unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("agent.toml"), config_text(dir.path(), TIMINGS)).unwrap();
        fs::write(dir.path().join("run/drill"), format!("{length} {lease}")).unwrap();
        let guardian = here.run(|| command(&dir, &["serve"]).spawn()).unwrap();
        let mut agent = Self { dir, victim, guardian, processes: Processes::default(), here, peer };
        let began = Instant::now();
        while !(agent.is_stopped() && agent.is_blocked()) {
            assert!(began.elapsed() < Duration::from_secs(60), "nothing is in force: {}", agent.log());
            thread::sleep(Duration::from_millis(20));
        }
        agent.processes = Processes::of(agent.guardian.id());
        agent
    }

    fn is_stopped(&self) -> bool {
        Stat::read(i32::try_from(self.victim.id()).unwrap()).unwrap().unwrap().is_stopped()
    }

    /// Returns the number of processes of worker and helper that are stopped.
    fn stopped_children(&self) -> usize {
        let guardian = i32::try_from(self.guardian.id()).unwrap();
        process::all().unwrap().iter().filter(|stat| stat.ppid == guardian && stat.is_stopped()).count()
    }

    fn is_blocked(&self) -> bool {
        let server = self.peer.run(|| UdpSocket::bind((PEER, 0))).unwrap();
        let client = self.here.run(|| UdpSocket::bind("0.0.0.0:0")).unwrap();
        client.send_to(b"x", server.local_addr().unwrap()).is_err()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("stderr")).unwrap()
    }

    /// Waits until both faults are gone, and prints the time that this took.
    fn wait_healed(&self, who: &str) {
        let began = Instant::now();
        while self.is_stopped() || self.is_blocked() {
            assert!(
                began.elapsed() < Duration::from_secs(25),
                "{who}: stopped {}, blocked {}\n{}",
                self.is_stopped(),
                self.is_blocked(),
                self.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
        eprintln!("{who}: both are put back after {:.1?}", began.elapsed());
    }

    fn wait_gone(&self) {
        for who in Processes::ALL {
            wait(&format!("the {who:?} to go"), || self.processes.is_gone(who));
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        for child in [&mut self.victim, &mut self.guardian] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Puts the processes of an agent into the states of a mixture, and checks that both faults are undone.
fn is_undone(mixture: Mixture) {
    let (guardian, worker, helper) = mixture;
    let lots = [(Who::Guardian, guardian), (Who::Worker, worker), (Who::Helper, helper)];
    let somebody_left = lots.iter().any(|(_, lot)| *lot == Runs);
    let mut agent = Agent::in_force(if somebody_left { LONG } else { SHORT });
    // All that are hit are stopped first, so that none of them sees another die.
    let hit: Vec<Who> = lots.iter().filter(|(_, lot)| *lot != Runs).map(|(who, _)| *who).collect();
    agent.processes.stop(&hit);
    for (who, _) in lots.iter().filter(|(_, lot)| *lot == Killed) {
        agent.processes.signal(*who, Signal::KILL);
    }
    let who = format!("guardian {guardian:?}, worker {worker:?}, helper {helper:?}");
    match mixture {
        // Guardian and worker are well: the guardian continues the helper, and the drill continues.
        (Runs, Runs, Stopped) => {
            wait("the helper to be continued", || agent.stopped_children() == 0);
            assert!(agent.is_stopped() && agent.is_blocked(), "{}", agent.log());
            agent.processes.signal(Who::Guardian, Signal::TERM);
            agent.wait_healed(&who);
            assert_eq!(agent.guardian.wait().unwrap().code(), Some(0), "{}", agent.log());
        }
        _ if somebody_left => {
            agent.wait_healed(&who);
            // No process stays that keeps the next agent out.
            agent.wait_gone();
            assert!(!agent.guardian.wait().unwrap().success());
        }
        _ => {
            wait("the kernel to end the block", || !agent.is_blocked());
            assert!(agent.is_stopped(), "no process was left to continue it");
            fs::remove_file(agent.dir.path().join("run/drill")).unwrap();
            let mut next =
                agent.here.run(|| command(&agent.dir, &["serve"]).stdout(Stdio::null()).spawn()).unwrap();
            agent.wait_healed(&who);
            let _ = next.kill();
            let _ = next.wait();
        }
    }
}
