//! Real agents whose processes are killed and stopped in many combinations: a process that is left undoes the effect.
//!
//! Has a separate test harness, because the agent forks.
#![expect(clippy::unwrap_used, reason = "a test program")]

#[expect(dead_code, reason = "what other tests need of it")]
#[path = "../helpers/fakes.rs"]
mod fakes;
#[path = "../helpers/harness.rs"]
mod harness;
mod records;

use std::{
    fs,
    path::PathBuf,
    process::{Child, ExitCode},
};

use fakes::{alice, ask_arm, ask_prepare, config_text, pause, ready, run_id, wait, wiring};
use firedrill_agent::{
    config::Config,
    journal::{Replayed, Tail, read},
    wiring::{ServerParts, Wiring},
};
use firedrill_probe::clock::boot_us;
use firedrill_wire::{
    Span,
    journal::{HealReason, What},
};
use harness::{Part, Processes, Who, begin, command, renew_while};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

fn main() -> ExitCode {
    let tests = match begin([TESTS, records::TESTS].concat().leak(), || Wiring {
        server: |parts| Box::pin(drill(parts)),
        ..wiring()
    }) {
        Part::Done(code) => return code,
        Part::Tests(tests) => tests,
    };
    let threads: Vec<_> = tests.into_iter().map(|(name, test)| (name, std::thread::spawn(test))).collect();
    let mut failed = 0;
    for (name, thread) in threads {
        let ok = thread.join().is_ok();
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        failed += usize::from(!ok);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    ("worker_killed", || dies(&[Who::Worker], Signal::KILL, &HealReason::WorkerDied)),
    ("worker_stopped", || dies(&[Who::Worker], Signal::STOP, &HealReason::WorkerDied)),
    ("guardian_killed", || dies(&[Who::Guardian], Signal::KILL, &HealReason::GuardianDied)),
    ("guardian_stopped", || dies(&[Who::Guardian], Signal::STOP, &HealReason::GuardianDied)),
    ("both_killed", || dies(&[Who::Guardian, Who::Worker], Signal::KILL, &HealReason::GuardianDied)),
    ("both_stopped", || dies(&[Who::Guardian, Who::Worker], Signal::STOP, &HealReason::GuardianDied)),
    ("helper_killed", || dies(&[Who::Helper], Signal::KILL, &HealReason::AgentStopping)),
    ("guardian_and_helper_killed", || {
        dies(&[Who::Helper, Who::Guardian], Signal::KILL, &HealReason::GuardianDied);
    }),
    ("worker_and_helper_killed", || dies(&[Who::Helper, Who::Worker], Signal::KILL, &HealReason::WorkerDied)),
    ("stopped_in_order", stopped_in_order),
    ("helper_stopped_then_worker_killed", helper_stopped),
    ("undo_that_hangs_is_taken_over", undo_that_hangs),
    ("start_that_never_ends_is_taken_over", start_that_never_ends),
    ("silence_heals", silence_heals),
    ("a_pause_of_all_processes_ends_none_of_them", paused_and_continued),
    ("all_killed_then_undo_all", all_killed_then_undo),
    ("all_killed_then_started_again", all_killed_then_started),
    ("undo_all_halts_a_live_agent", undo_all_on_a_live_agent),
    ("undo_all_works_although_the_agent_hangs", undo_all_on_an_agent_that_hangs),
    ("a_second_agent_waits_for_the_first", a_second_agent_waits),
    ("an_agent_does_not_start_if_its_address_is_taken", taken_address),
];

/// The coordinator, inside the worker: one fault, whose lease is renewed as long as the file `coordinator` exists.
async fn drill(parts: ServerParts) -> Result<(), String> {
    let world = parts.config.paths.run.join("world");
    if world.join("drill").exists() {
        let control = parts.control;
        let lease = Span::secs(2);
        let endless = world.join("endless").exists();
        let hold = if endless { Span::secs(1) } else { Span::secs(100) };
        tokio::task::spawn_blocking(move || {
            let behaviour = endless.then_some("endless");
            let ask = ask_prepare(&[("a", pause("a", behaviour, None))], hold);
            let prepared = ready(control.prepare(&alice(), &run_id(), &ask).unwrap());
            control.arm(&alice(), &run_id(), &ask_arm(&prepared, 100, hold, lease)).unwrap();
            renew_while(&*control, lease, || world.join("coordinator").exists());
        });
    }
    parts.stop.cancelled().await;
    Ok(())
}

/// An agent with a fault in force.
struct Agent {
    dir: tempfile::TempDir,
    guardian: Child,
    processes: Processes,
}

fn new_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let timings =
        "start_tolerance = \"20s\"\nstale_after = \"600ms\"\ngrace = \"500ms\"\nundo_budget = \"1s\"\n";
    let text = config_text(dir.path(), timings);
    fs::write(dir.path().join("agent.toml"), text).unwrap();
    for file in ["drill", "coordinator"] {
        fs::write(dir.path().join("run/world").join(file), "").unwrap();
    }
    dir
}

impl Agent {
    /// Starts an agent and waits until its fault is in force.
    fn in_force() -> Self {
        Self::in_force_in(new_dir())
    }

    fn in_force_in(dir: tempfile::TempDir) -> Self {
        let guardian = command(&dir, &["serve"]).spawn().unwrap();
        let mut agent = Self { dir, guardian, processes: Processes::default() };
        wait("the fault to be in force", || agent.file("a").exists());
        agent.processes = Processes::of(agent.guardian.id());
        agent
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("run/world").join(name)
    }

    fn signal(&self, who: Who, signal: Signal) {
        self.processes.signal(who, signal);
    }

    /// Waits until the copy in the run directory says that the fault is in force.
    fn wait_copied(&self) {
        let copy = self.dir.path().join("run/open.json");
        wait("the copy to have the fault in force", || {
            fs::read_to_string(&copy).is_ok_and(|text| text.contains("in-force"))
        });
    }

    fn is_gone(&self, who: Who) -> bool {
        self.processes.is_gone(who)
    }

    fn wait_gone(&self) {
        for who in Processes::ALL {
            wait(&format!("{who:?} to go"), || self.is_gone(who));
        }
    }

    fn config(&self) -> Config {
        Config::load(&self.dir.path().join("agent.toml")).unwrap()
    }

    fn journal(&self) -> Replayed {
        read(&self.config().paths()).unwrap()
    }

    /// Checks that the effect is gone, that nothing is open, and that the journal has the reason of the undo.
    fn assert_healed(&self, reason: &HealReason) {
        let log = fs::read_to_string(self.dir.path().join("stderr")).unwrap();
        assert!(!self.file("a").exists(), "{log}");
        let replayed = self.journal();
        assert_eq!(replayed.open().count(), 0, "{log}");
        assert!(replayed.damage.is_empty(), "{:?}", replayed.damage);
        assert!(self.reasons().contains(reason), "{:?}: {log}", self.reasons());
        assert!(!self.dir.path().join("run/active").exists(), "{log}");
    }

    fn reasons(&self) -> Vec<HealReason> {
        let mut tail = Tail::new(self.dir.path().join("state/journal"), 0);
        let events = tail.next(u64::MAX).unwrap();
        events
            .into_iter()
            .filter_map(|event| if let What::Changed { reason, .. } = event.what { reason } else { None })
            .collect()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.guardian.kill();
        let _ = self.guardian.wait();
    }
}

/// Sends a signal to some processes of an agent. The others must undo the fault for that reason, and end.
fn dies(who: &[Who], signal: Signal, reason: &HealReason) {
    let mut agent = Agent::in_force();
    if who.len() > 1 {
        // All are stopped first, so that none of them sees another die.
        agent.processes.stop(who);
    }
    for who in who {
        agent.signal(*who, signal);
    }
    wait("the effect to be put back", || !agent.file("a").exists());
    agent.wait_gone();
    agent.assert_healed(reason);
    // The exit code is not 0, so that the service manager restarts the agent.
    assert!(!agent.guardian.wait().unwrap().success());
}

fn stopped_in_order() {
    let mut agent = Agent::in_force();
    agent.signal(Who::Guardian, Signal::TERM);
    agent.wait_gone();
    agent.assert_healed(&HealReason::AgentStopping);
    assert_eq!(agent.guardian.wait().unwrap().code(), Some(0));
}

fn helper_stopped() {
    let agent = Agent::in_force();
    agent.signal(Who::Helper, Signal::STOP);
    agent.signal(Who::Worker, Signal::KILL);
    agent.wait_gone();
    agent.assert_healed(&HealReason::WorkerDied);
}

fn undo_that_hangs() {
    let agent = Agent::in_force();
    fs::write(agent.file("a.hang"), "").unwrap();
    fs::remove_file(agent.file("coordinator")).unwrap();
    agent.wait_gone();
    assert!(agent.file("a.hung").exists(), "the worker's undo hung");
    agent.assert_healed(&HealReason::WorkerDied);
}

fn start_that_never_ends() {
    let dir = new_dir();
    fs::write(dir.path().join("run/world/endless"), "").unwrap();
    let agent = Agent::in_force_in(dir);
    // The lease is renewed all the time: the fault is ended by the maximum time of a start.
    wait("the effect to be put back", || !agent.file("a").exists());
    agent.wait_gone();
    assert!(agent.file("coordinator").exists());
    agent.assert_healed(&HealReason::WorkerDied);
}

fn silence_heals() {
    let agent = Agent::in_force();
    fs::remove_file(agent.file("coordinator")).unwrap();
    wait("the lease to end", || agent.journal().open().count() == 0);
    wait("the file to go", || !agent.dir.path().join("run/active").exists());
    agent.assert_healed(&HealReason::LeaseExpired);
    assert!(!agent.is_gone(Who::Worker), "it still serves");
}

/// Simulates a suspend of the whole machine: to each process the others seem dead, and the deadline is long past.
fn paused_and_continued() {
    let agent = Agent::in_force();
    agent.processes.stop(&Processes::ALL);
    let lease_and_all_graces = boot_us() + 2_000_000 + 4 * 500_000;
    wait("the lease to be long over", || boot_us() > lease_and_all_graces);
    for who in Processes::ALL {
        agent.signal(who, Signal::CONT);
    }
    wait("the lease to end", || agent.journal().open().count() == 0);
    wait("the file to go", || !agent.dir.path().join("run/active").exists());
    agent.assert_healed(&HealReason::LeaseExpired);
    for who in Processes::ALL {
        assert!(!agent.is_gone(who), "the {who:?} still lives");
    }
}

fn kill_all(agent: &Agent) {
    // All are stopped first, so that none of them sees another die.
    agent.processes.stop(&Processes::ALL);
    Processes::ALL.iter().for_each(|who| agent.signal(*who, Signal::KILL));
    agent.wait_gone();
    assert!(agent.file("a").exists(), "no process was left to undo it");
}

fn all_killed_then_undo() {
    let agent = Agent::in_force();
    agent.wait_copied();
    kill_all(&agent);
    let status = command(&agent.dir, &["status", "--json"]).output().unwrap();
    assert!(String::from_utf8(status.stdout).unwrap().contains("\"in-force\""));
    let undo = command(&agent.dir, &["undo", "--all", "--no-halt"]).output().unwrap();
    assert!(undo.status.success());
    assert!(String::from_utf8(undo.stdout).unwrap().contains("Undone"));
    agent.assert_healed(&HealReason::AgentStopping);
    assert_eq!(agent.journal().halted_by, None);
    let sweep = command(&agent.dir, &["sweep"]).output().unwrap();
    assert!(sweep.status.success() && sweep.stdout.is_empty(), "there was nothing to report");
}

fn all_killed_then_started() {
    let mut agent = Agent::in_force();
    kill_all(&agent);
    fs::remove_file(agent.file("drill")).unwrap();
    agent.guardian.wait().unwrap();
    agent.guardian = command(&agent.dir, &["serve"]).spawn().unwrap();
    wait("the effect to be put back", || !agent.file("a").exists());
    // The reason is journaled when the undo begins, and its end a moment later.
    wait("the reason in the journal", || agent.reasons().contains(&HealReason::FoundAtStart));
    wait("the end of the undo", || agent.journal().open().count() == 0);
    wait("the end of the drill on this host", || !agent.dir.path().join("run/active").exists());
    agent.assert_healed(&HealReason::FoundAtStart);
}

fn undo_all_on_a_live_agent() {
    let agent = Agent::in_force();
    let undo = command(&agent.dir, &["undo", "--all"]).output().unwrap();
    assert!(undo.status.success(), "{undo:?}");
    agent.assert_healed(&HealReason::Asked { by: "root@h".into() });
    assert_eq!(agent.journal().halted_by.as_deref(), Some("root@h"));
    let status = command(&agent.dir, &["status"]).output().unwrap();
    let text = String::from_utf8(status.stdout).unwrap();
    assert!(text.contains("serves") && text.contains("halted by root@h"), "{text}");
    assert!(command(&agent.dir, &["release"]).output().unwrap().status.success());
    assert_eq!(agent.journal().halted_by, None);
    assert!(!agent.is_gone(Who::Worker));
}

fn undo_all_on_an_agent_that_hangs() {
    let mut agent = Agent::in_force();
    agent.processes.stop(&Processes::ALL);
    let undo = command(&agent.dir, &["undo", "--all", "--no-halt"]).output().unwrap();
    assert!(undo.status.success(), "{undo:?}");
    assert!(String::from_utf8(undo.stdout).unwrap().contains("Undone"));
    assert!(!agent.file("a").exists(), "undone although no process answers");
    // All processes are ended, so that none of them can continue and act.
    agent.wait_gone();
    agent.guardian.wait().unwrap();
    assert_eq!(agent.journal().open().count(), 0, "it is journaled");
}

fn a_second_agent_waits() {
    let mut agent = Agent::in_force();
    let mut second = command(&agent.dir, &["serve"]).spawn().unwrap();
    fs::remove_file(agent.file("drill")).unwrap();
    agent.signal(Who::Worker, Signal::KILL);
    agent.wait_gone();
    agent.assert_healed(&HealReason::WorkerDied);
    agent.guardian.wait().unwrap();
    let socket = agent.dir.path().join("run/control.sock");
    wait("the second one to serve", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    agent.processes = Processes::default();
    let pid = Pid::from_raw(i32::try_from(second.id()).unwrap()).unwrap();
    pidfd_send_signal(pidfd_open(pid, PidfdFlags::empty()).unwrap(), Signal::TERM).unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(0));
}

fn taken_address() {
    let dir = new_dir();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let file = dir.path().join("agent.toml");
    let text =
        fs::read_to_string(&file).unwrap().replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string());
    fs::write(&file, text).unwrap();
    assert_eq!(command(&dir, &["serve"]).status().unwrap().code(), Some(2));
    let log = fs::read_to_string(dir.path().join("stderr")).unwrap();
    assert!(log.contains("cannot listen on 127.0.0.1"), "{log}");
}
