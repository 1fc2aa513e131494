//! Tests in which the journal, its copy, the lock or the socket is damaged or gone. Faults in force are undone, and lost records
//! are reported.

use std::{fs, time::Duration};

use firedrill_agent::{guardian::Lock, identity::Identity, journal::read_any, testing::remove_live_dir};
use firedrill_wire::journal::HealReason;
use rustix::process::Signal;

use super::{Agent, Processes, Test, Who, command, kill_all, new_dir, wait};

pub(crate) const TESTS: &[Test] = &[
    ("journal_cut_then_undo_all", || journal_cut(&["undo", "--all", "--no-halt"])),
    ("journal_cut_then_swept", || journal_cut(&["sweep"])),
    ("journal_cut_then_started_again", journal_cut_then_started),
    ("journal_cut_then_helper_killed", journal_cut_then_helper_killed),
    ("journal_cut_while_a_start_goes_on", journal_cut_while_a_start_goes_on),
    ("journal_and_copy_are_damaged", both_damaged),
    ("journal_deleted_under_a_live_agent", journal_deleted),
    ("lock_deleted_under_a_live_agent", lock_deleted),
    ("a_second_agent_leaves_one_that_listens_alone", second_agent_beside_one_that_listens),
    ("worker_killed_with_its_journal_cut", worker_killed_with_its_journal_cut),
];

/// Cuts the journal after its intents. Only the copy shows then that the fault is in force.
fn cut_after_the_intents(agent: &Agent) {
    let journal = agent.dir.path().join("state/journal");
    let text = fs::read_to_string(&journal).unwrap();
    let intent = text.lines().position(|line| line.contains("{\"intent\":")).unwrap();
    let lines: Vec<&str> = text.lines().take(intent + 1).collect();
    fs::write(journal, lines.join("\n") + "\n").unwrap();
}

/// Checks that the output and the exit code report lost records.
fn assert_lost(output: &std::process::Output, agent: &Agent) {
    let log = fs::read_to_string(agent.dir.path().join("stderr")).unwrap();
    assert_eq!(output.status.code(), Some(7), "{log}");
    assert!(log.contains("records of drills are damaged or lost"), "{log}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(!stdout.contains("nothing was in force") && !stdout.contains("Disarmed"), "{stdout}");
}

fn journal_cut(verb: &[&str]) {
    let agent = Agent::in_force();
    agent.wait_copied();
    kill_all(&agent);
    cut_after_the_intents(&agent);
    let healed = command(&agent.dir, verb).output().unwrap();
    assert!(!agent.file("a").exists(), "it was put back");
    assert!(String::from_utf8_lossy(&healed.stdout).contains("Undone"));
    assert_lost(&healed, &agent);
    assert!(command(&agent.dir, verb).output().unwrap().status.success(), "it was reported before");
}

fn journal_cut_then_started() {
    let mut agent = Agent::in_force();
    agent.wait_copied();
    kill_all(&agent);
    cut_after_the_intents(&agent);
    fs::remove_file(agent.file("drill")).unwrap();
    agent.guardian.wait().unwrap();
    agent.guardian = command(&agent.dir, &["serve"]).spawn().unwrap();
    wait("the effect to be put back", || !agent.file("a").exists());
    wait("the agent to serve", || {
        let status = command(&agent.dir, &["status"]).output().unwrap();
        String::from_utf8(status.stdout).unwrap().contains("serves")
    });
    let undo = command(&agent.dir, &["undo", "--all", "--no-halt"]).output().unwrap();
    assert_lost(&undo, &agent);
}

/// The worker undoes the fault and ends. By the cut journal the fault has started and ended without having been in force, and no other
/// process is left to read the copy.
fn journal_cut_then_helper_killed() {
    let agent = Agent::in_force();
    agent.wait_copied();
    cut_after_the_intents(&agent);
    agent.signal(Who::Helper, Signal::KILL);
    agent.wait_gone();
    assert!(!agent.file("a").exists(), "it was put back");
    let (replayed, _) = read_any(&agent.config().paths(), &Identity::here());
    assert_eq!(replayed.open().count(), 0, "{:?}", replayed.damage);
}

/// The effect is made, but no record says that it is in force: only the copy shows that the start had begun.
fn journal_cut_while_a_start_goes_on() {
    let dir = new_dir();
    fs::write(dir.path().join("run/world/endless"), "").unwrap();
    let agent = Agent::in_force_in(dir);
    kill_all(&agent);
    cut_after_the_intents(&agent);
    let healed = command(&agent.dir, &["undo", "--all", "--no-halt"]).output().unwrap();
    assert!(!agent.file("a").exists(), "it was put back");
    assert_lost(&healed, &agent);
}

fn both_damaged() {
    let agent = Agent::in_force();
    agent.wait_copied();
    kill_all(&agent);
    let journal = agent.dir.path().join("state/journal");
    let text = fs::read_to_string(&journal).unwrap();
    let without: Vec<&str> = text.lines().filter(|line| !line.contains("{\"intent\":")).collect();
    fs::write(journal, without.join("\n") + "\n").unwrap();
    fs::write(agent.dir.path().join("run/open.json"), "{").unwrap();
    let status = command(&agent.dir, &["status"]).output().unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("a fault whose record is lost may be in force"), "{status}");
    assert_lost(&command(&agent.dir, &["undo", "--all"]).output().unwrap(), &agent);
    let log = fs::read_to_string(agent.dir.path().join("stderr")).unwrap();
    assert!(log.contains("a fault whose record is lost may be in force"), "{log}");
}

/// Checks that the journal is made anew with everything that is open.
fn journal_deleted() {
    let agent = Agent::in_force();
    agent.wait_copied();
    let journal = agent.dir.path().join("state/journal");
    fs::remove_file(&journal).unwrap();
    wait("the journal to be made anew", || journal.exists());
    kill_all(&agent);
    fs::remove_file(agent.dir.path().join("run/open.json")).unwrap();
    let undo = command(&agent.dir, &["undo", "--all", "--no-halt"]).output().unwrap();
    assert_eq!(undo.status.code(), Some(0), "{undo:?}");
    assert!(String::from_utf8(undo.stdout).unwrap().contains("Undone"));
    agent.assert_healed(&HealReason::AgentStopping);
}

/// Checks that all three processes hold the lock again and that its file names them, so that a command that undoes in their place can
/// end them first.
fn lock_deleted() {
    let mut agent = Agent::in_force();
    let lock = agent.dir.path().join("state/lock");
    remove_live_dir(&agent.dir.path().join("state")).unwrap();
    wait("the lock to name its holders", || {
        fs::read_to_string(&lock)
            .is_ok_and(|text| text.lines().filter(|line| line.contains('@')).count() == Processes::ALL.len())
    });
    wait("the journal to be made anew", || agent.dir.path().join("state/journal").exists());
    let taken = Lock::take(&agent.config().paths(), Duration::ZERO).unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::WouldBlock, "{taken}");
    assert!(agent.file("a").exists(), "nothing was put back");
    agent.processes.stop(&Processes::ALL);
    let undo = command(&agent.dir, &["undo", "--all", "--no-halt"]).output().unwrap();
    assert!(undo.status.success(), "{undo:?}");
    assert!(!agent.file("a").exists(), "undone although no process answers");
    agent.wait_gone();
    agent.guardian.wait().unwrap();
}

/// The second agent also refuses if the lock's file is gone.
fn second_agent_beside_one_that_listens() {
    let dir = new_dir();
    let socket = dir.path().join("run/control.sock");
    let first = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let guardian = command(&dir, &["serve"]).spawn().unwrap();
    // As an `Agent`, it is ended with this test even if it serves.
    let mut second = Agent { dir, guardian, processes: Processes::default() };
    let mut code = None;
    wait("it to refuse", || {
        code = second.guardian.try_wait().unwrap();
        code.is_some()
    });
    assert_eq!(code.and_then(|code| code.code()), Some(2));
    let log = fs::read_to_string(second.dir.path().join("stderr")).unwrap();
    assert!(log.contains("an agent listens in"), "{log}");
    assert!(!second.dir.path().join("state/journal").exists(), "it recovers nothing");
    std::os::unix::net::UnixStream::connect(&socket).unwrap();
    drop(first);
}

/// The guardian's exit code must report the lost records.
fn worker_killed_with_its_journal_cut() {
    let mut agent = Agent::in_force();
    agent.wait_copied();
    agent.signal(Who::Worker, Signal::STOP);
    cut_after_the_intents(&agent);
    agent.signal(Who::Worker, Signal::KILL);
    assert_eq!(agent.guardian.wait().unwrap().code(), Some(7));
    assert!(!agent.file("a").exists(), "it was put back");
}
