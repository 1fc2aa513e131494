//! Tests of faults on real processes, which the tests start.

#[path = "helpers/services.rs"]
mod services;

use std::{
    collections::BTreeMap,
    os::unix::process::CommandExt as _,
    process::{Child, Command},
};

use firedrill_agent::{
    host::process::{Name, Stat, alive, command_line},
    snapshot,
};
use firedrill_wire::{RefusalCode, evidence::Seen};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use services::{Injection, host, until};

/// A process with a unique name, which is the first word of its command line. It is killed when dropped.
struct Victim {
    child: Child,
    word: String,
}

impl Victim {
    /// Starts a process with `suffix` at the end of its name.
    fn new(suffix: &str) -> Self {
        let word = format!("firedrill-victim-{}-{suffix}", std::process::id());
        let child = Command::new("sleep").arg0(&word).arg("600").spawn().expect("sleep");
        let victim = Self { child, word };
        // Before exec the child looks like this test. During exec it has its new name before its arguments.
        until("exec", || command_line(victim.pid()).is_ok_and(|line| line.starts_with(&victim.word)));
        victim
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("pid")
    }

    fn stat(&self) -> Option<Stat> {
        Stat::read(self.pid()).expect("proc")
    }

    fn name(&self) -> Name {
        self.stat().expect("there").name
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("kill");
    }

    fn is_stopped(&self) -> bool {
        self.stat().is_some_and(|stat| stat.is_stopped())
    }

    /// Returns a fault of this kind on all processes with this name.
    fn json(&self, kind: &str) -> String {
        format!(r#"{{"{kind}":{{"match":{{"command":"{}"}}}}}}"#, self.word)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn paused_and_continued() {
    let dir = tempfile::tempdir().expect("tempdir");
    let host = host(dir.path());
    let victim = Victim::new("pause");
    let mut pause = Injection::prepare(&host, &victim.json("process-pause")).expect("prepared");
    assert!(!victim.is_stopped(), "prepare only reads");
    let prepared = pause.live.prepared.undo.clone();
    let first = pause.inject();
    assert!(victim.is_stopped());
    assert_eq!(pause.inject(), first, "injecting twice is injecting once");
    assert_eq!(pause.live.prepared.undo, prepared, "the second injection leaves the undo as it was");
    assert_eq!((pause.seen().in_force, pause.seen().exercised), (Seen::Yes, Seen::Yes), "{:?}", pause.seen());
    let mut seen = BTreeMap::new();
    snapshot::processes::observe(&host, &mut seen).expect("observed");
    assert_eq!(seen.get(&format!("stopped:{}", victim.name())).map(String::as_str), Some("sleep"));
    pause.undo();
    assert!(!victim.is_stopped());
    assert_eq!(pause.seen().in_force, Seen::No);
    pause.undo();
    assert!(alive(victim.name()).expect("proc").is_some(), "undoing twice is undoing once");
    seen.clear();
    snapshot::processes::observe(&host, &mut seen).expect("observed");
    assert!(!seen.contains_key(&format!("stopped:{}", victim.name())));
}

#[test]
fn a_process_that_was_stopped_before_stays_stopped() {
    let dir = tempfile::tempdir().expect("tempdir");
    let host = host(dir.path());
    let (before, ours) = (Victim::new("twin"), Victim::new("twin"));
    before.signal(Signal::SIGSTOP);
    until("the stop", || before.is_stopped());
    let mut pause = Injection::prepare(&host, &ours.json("process-pause")).expect("prepared");
    assert_eq!(pause.live.prepared.undo.len(), 1);
    assert!(pause.live.prepared.notes.iter().any(|note| note.contains(&before.pid().to_string())));
    pause.inject();
    assert!(before.is_stopped() && ours.is_stopped());
    pause.undo();
    assert!(before.is_stopped() && !ours.is_stopped());
    ours.signal(Signal::SIGSTOP);
    until("the stop", || ours.is_stopped());
    let refused = Injection::prepare(&host, &ours.json("process-pause")).err().expect("refused");
    assert_eq!(refused.code, RefusalCode::AlreadyStopped);
}

#[test]
fn a_process_that_others_stop_between_prepare_and_inject_stays_stopped() {
    let dir = tempfile::tempdir().expect("tempdir");
    let host = host(dir.path());
    let (theirs, ours) = (Victim::new("pair"), Victim::new("pair"));
    let mut pause = Injection::prepare(&host, &ours.json("process-pause")).expect("prepared");
    theirs.signal(Signal::SIGSTOP);
    until("the stop", || theirs.is_stopped());
    pause.inject();
    pause.undo();
    assert!(theirs.is_stopped() && !ours.is_stopped());
}

#[test]
fn a_pause_that_fails_can_be_undone() {
    let dir = tempfile::tempdir().expect("tempdir");
    let host = host(dir.path());
    let mut gone = Victim::new("gone");
    let pause = Injection::prepare(&host, &gone.json("process-pause")).expect("prepared");
    gone.child.kill().expect("kill");
    gone.child.wait().expect("wait");
    pause.try_inject().expect_err("nothing is left to stop");
    assert_ne!(pause.seen().in_force, Seen::Yes);
    assert_eq!(pause.undo()[0].foreign, Vec::<String>::new(), "absent is success");
    pause.undo();
}

#[test]
fn a_process_that_continued_or_died_is_not_paused() {
    let dir = tempfile::tempdir().expect("tempdir");
    let host = host(dir.path());
    let mut victim = Victim::new("early");
    let mut pause = Injection::prepare(&host, &victim.json("process-pause")).expect("prepared");
    pause.inject();
    victim.signal(Signal::SIGCONT);
    until("the continue", || !victim.is_stopped());
    assert_eq!(pause.seen().in_force, Seen::No);
    victim.child.kill().expect("kill");
    until("the end", || alive(victim.name()).expect("proc").is_none());
    assert_eq!(pause.seen().in_force, Seen::No, "a dead process is not a paused one");
    victim.child.wait().expect("wait");
    pause.undo();
}

#[test]
fn another_process_with_the_same_pid_is_left() {
    let dir = tempfile::tempdir().expect("tempdir");
    let host = host(dir.path());
    let victim = Victim::new("reused");
    victim.signal(Signal::SIGSTOP);
    until("the stop", || victim.is_stopped());
    let name = victim.name();
    firedrill_agent::undo::process::apply(&host, name.pid, name.start_ticks + 1).expect("nothing to do");
    assert!(victim.is_stopped(), "another process must not be continued");
    firedrill_agent::undo::process::apply(&host, name.pid, name.start_ticks).expect("continued");
    assert!(!victim.is_stopped());
}

#[test]
fn all_matching_processes_are_killed_once() {
    let dir = tempfile::tempdir().expect("tempdir");
    let host = host(dir.path());
    let (first_victim, second_victim) = (Victim::new("kill"), Victim::new("kill"));
    let narrow =
        format!(r#"{{"process-kill":{{"match":{{"command":"{}","at_most":1}}}}}}"#, first_victim.word);
    assert_eq!(
        Injection::prepare(&host, &narrow).err().expect("refused").code,
        RefusalCode::TooManyProcesses
    );
    let mut killing = Injection::prepare(&host, &first_victim.json("process-kill")).expect("prepared");
    assert!(killing.live.prepared.undo.is_empty());
    assert_eq!(killing.seen().in_force, Seen::No);
    let first = killing.inject();
    assert_eq!(killing.inject(), first, "injecting twice is injecting once");
    assert_eq!(killing.seen().in_force, Seen::Yes, "{:?}", killing.seen());
    assert_eq!(
        alive(first_victim.name()).expect("proc").or(alive(second_victim.name()).expect("proc")),
        None
    );
}

#[test]
fn a_signal_without_effect_is_not_in_force() {
    let dir = tempfile::tempdir().expect("tempdir");
    let host = host(dir.path());
    // A stopped process does not handle TERM.
    let victim = Victim::new("term");
    victim.signal(Signal::SIGSTOP);
    until("the stop", || victim.is_stopped());
    let json = format!(r#"{{"process-kill":{{"match":{{"command":"{}"}},"signal":"TERM"}}}}"#, victim.word);
    let mut killing = Injection::prepare(&host, &json).expect("prepared");
    killing.inject();
    assert_eq!(killing.seen().in_force, Seen::No, "{:?}", killing.seen());
}
