//! Tests in which the state directory is bad. Everything in force is undone first, by the journal or by its copy, whichever can be read.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use firedrill_agent::testing::remove_live_dir;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::process::Signal;

use super::{Agent, Processes, Test, Who, wait};

pub(crate) const TESTS: &[Test] = &[
    ("undo_all_with_a_read_only_state_directory", || undo_all(read_only, 0, 0)),
    ("undo_all_with_a_file_in_place_of_the_state_directory", || undo_all(a_file, LOST, LOST)),
    ("undo_all_with_no_state_directory", || undo_all(removed, LOST, 0)),
    ("undo_all_with_a_full_state_directory", || undo_all(full, 0, 0)),
    ("undo_all_with_a_journal_that_cannot_be_read", || undo_all(unreadable, LOST, LOST)),
    ("an_agent_starts_with_a_read_only_state_directory", || start(read_only, 2)),
    ("an_agent_starts_with_a_file_in_place_of_the_state_directory", || start(a_file, LOST)),
    ("an_agent_starts_with_a_journal_that_cannot_be_read", || start(unreadable, LOST)),
    ("the_helper_heals_with_a_read_only_state_directory", || worker_dies(read_only, 1, 0)),
    ("the_helper_heals_with_a_file_in_place_of_the_state_directory", || worker_dies(a_file, LOST, LOST)),
    ("the_helper_heals_with_no_state_directory", || worker_dies(removed, LOST, 0)),
    ("undo_all_ends_stopped_processes_with_a_file_in_place_of_the_state_directory", || stopped(a_file, UNDO)),
    ("undo_all_ends_stopped_processes_with_no_state_directory", || stopped(removed, UNDO)),
    ("a_start_wakes_stopped_processes_with_a_file_in_place_of_the_state_directory", || {
        stopped(a_file, &["serve"]);
    }),
    ("a_stuck_undo_is_reported_without_a_journal", stuck),
    ("a_halt_that_cannot_be_journaled_is_reported", halt),
    ("an_undo_is_journaled_later", journaled_later),
    ("a_live_agent_reports_a_full_disk_and_its_undo_is_not_repeated", live_on_a_full_disk),
];

/// The exit code if everything that is known was undone, but records cannot be read or are gone.
const LOST: i32 = 7;

/// Makes a state directory bad.
type Bad = fn(&Path) -> Mounted;

/// A mount that is unmounted when this is dropped; `None` if nothing was mounted.
struct Mounted(Option<PathBuf>);

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(at) = &self.0 {
            umount2(at, MntFlags::MNT_DETACH).unwrap();
        }
    }
}

fn read_only(state: &Path) -> Mounted {
    let none = None::<&str>;
    mount(Some(state), state, none, MsFlags::MS_BIND, none).unwrap();
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(none, state, none, flags, none).unwrap();
    Mounted(Some(state.to_owned()))
}

fn a_file(state: &Path) -> Mounted {
    fs::rename(state, state.with_extension("away")).unwrap();
    fs::write(state, "").unwrap();
    Mounted(None)
}

fn removed(state: &Path) -> Mounted {
    remove_live_dir(state).unwrap();
    Mounted(None)
}

/// Puts the journal on a disk that takes nothing more, not even in the journal's last block.
fn full(state: &Path) -> Mounted {
    let mut journal = fs::read(state.join("journal")).unwrap();
    // Copies of the header fill the last block: a header adds nothing, and has the length of the first record that the next agent writes.
    let header: Vec<u8> = journal.split_inclusive(|&byte| byte == b'\n').next().unwrap().to_vec();
    while journal.len() % 4096 + header.len() <= 4096 {
        journal.extend(&header);
    }
    mount(Some("tmpfs"), state, Some("tmpfs"), MsFlags::empty(), Some("size=128k")).unwrap();
    fs::write(state.join("journal"), journal).unwrap();
    fill(state);
    Mounted(Some(state.to_owned()))
}

fn fill(state: &Path) {
    let error = io::copy(&mut io::repeat(1), &mut File::create(state.join("ballast")).unwrap()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

/// Makes reading the journal fail, as on a disk that returns errors.
fn unreadable(state: &Path) -> Mounted {
    let journal = state.join("journal");
    fs::rename(&journal, state.join("journal.away")).unwrap();
    fs::create_dir(journal).unwrap();
    Mounted(None)
}

/// Checks that the effect is gone, and that neither `/run` nor `status` says that a fault is in force.
#[track_caller]
fn assert_over(agent: &Agent) {
    assert_over_after(agent, 0);
}

/// Checks the same after a command that ended with `code`. If records cannot be read, `status` says that nothing is known to be in force.
#[track_caller]
fn assert_over_after(agent: &Agent, code: i32) {
    assert!(!agent.effect());
    for file in ["run/active", "run/open.json"] {
        assert!(!agent.path(file).exists(), "{file}");
    }
    let status = agent.verb(&["status"]).ends_with(0);
    let wanted = if code == LOST { "nothing is known to be in force" } else { "nothing is in force" };
    assert!(status.stdout.contains(wanted), "{status:?}");
}

/// Returns how many times the fault was undone.
fn undone(agent: &Agent) -> usize {
    let log = fs::read_to_string(agent.path("run/world/log")).unwrap();
    log.lines().filter(|line| *line == "undo a").count()
}

/// `undo --all` ends with the code `first`, and a second one with `later`.
fn undo_all(bad: Bad, first: i32, later: i32) {
    let mut agent = Agent::in_force();
    agent.kill_all();
    let _mounted = bad(&agent.path("state"));
    agent.swept("run");
    let status = agent.verb(&["status"]).ends_with(0);
    assert!(status.stdout.contains("InForce"), "{status:?}");
    let undo = agent.verb(UNDO).ends_with(first);
    assert!(undo.stdout.contains("Undone"), "{undo:?}");
    assert_eq!(undo.stderr.contains("damaged or lost"), first == LOST, "{undo:?}");
    assert_eq!(agent.swept("run").as_deref(), Some(""), "swept without a journal");
    assert_over_after(&agent, later);
    // A second undo must not repeat the action: an administrator may have changed the object since.
    let again = agent.verb(UNDO).ends_with(later);
    assert_eq!(again.stdout.contains("nothing was in force"), later == 0, "{again:?}");
    assert_eq!(undone(&agent), 1, "{again:?}");
}

fn start(bad: Bad, code: i32) {
    let mut agent = Agent::in_force();
    agent.kill_all();
    let _mounted = bad(&agent.path("state"));
    agent.swept("run");
    for _ in 0..2 {
        let serve = agent.verb(&["serve"]).ends_with(code);
        assert!(serve.stderr.contains(agent.path("state").to_str().unwrap()), "{serve:?}");
        assert_eq!(agent.swept("run").as_deref(), Some(""), "swept without a journal");
        assert_over_after(&agent, code);
        assert_eq!(undone(&agent), 1, "{serve:?}");
    }
}

fn worker_dies(bad: Bad, code: i32, later: i32) {
    let mut agent = Agent::in_force();
    let _mounted = bad(&agent.path("state"));
    agent.processes.signal(Who::Worker, Signal::KILL);
    for who in Processes::ALL {
        wait("the agent to be gone", || agent.processes.is_gone(who));
    }
    assert_eq!(agent.guardian.wait().unwrap().code(), Some(code));
    assert_over_after(&agent, later);
}

const UNDO: &[&str] = &["undo", "--all", "--no-halt"];

/// The lock, which names the agent's processes, is gone with the state directory. While these processes are stopped, kernel objects of
/// their sockets stay. So another file has to lead to the processes.
fn stopped(bad: Bad, verb: &[&str]) {
    let mut agent = Agent::in_force();
    let copy = agent.path("run/open.json");
    wait("the copy to say so", || fs::read_to_string(&copy).is_ok_and(|text| text.contains("in-force")));
    agent.processes.stop(&Processes::ALL);
    let _mounted = bad(&agent.path("state"));
    if verb != UNDO {
        // Without its guardian, the agent's other processes end when they are continued. A complete agent would continue to work.
        agent.processes.signal(Who::Guardian, Signal::KILL);
    }
    agent.verb(verb).ends_with(LOST);
    for who in Processes::ALL {
        wait("the stopped processes to be gone", || agent.processes.is_gone(who));
    }
    agent.guardian.wait().unwrap();
    assert!(!agent.effect());
}

fn stuck() {
    let mut agent = Agent::in_force();
    fs::write(agent.path("run/world/a.hopeless"), "").unwrap();
    agent.kill_all();
    let _mounted = a_file(&agent.path("state"));
    for verb in [&["serve"][..], UNDO] {
        agent.verb(verb).ends_with(6);
        assert!(agent.active().contains("InForce"), "{}", agent.active());
    }
}

fn halt() {
    let mut agent = Agent::in_force();
    agent.kill_all();
    let mounted = read_only(&agent.path("state"));
    let undo = agent.verb(&["undo", "--all"]).ends_with(2);
    assert!(
        undo.stdout.contains("Undone") && undo.stderr.contains("halt could not be journaled"),
        "{undo:?}"
    );
    assert_over(&agent);
    let release = agent.verb(&["release"]).ends_with(2);
    assert!(release.stderr.contains("state/journal"), "{release:?}");
    drop(mounted);
    agent.verb(&["undo", "--all"]).ends_with(0);
    assert!(agent.verb(&["status"]).ends_with(0).stdout.contains("halted by"));
}

fn journaled_later() {
    let mut agent = Agent::in_force();
    agent.kill_all();
    let mounted = read_only(&agent.path("state"));
    agent.verb(&["sweep"]).ends_with(0);
    assert_over(&agent);
    drop(mounted);
    agent.verb(&["sweep"]).ends_with(0);
    assert_eq!(undone(&agent), 1);
    assert!(!agent.path("run/closed.json").exists());
    let journal = fs::read_to_string(agent.path("state/journal")).unwrap();
    assert!(journal.contains("while the journal could not be written"), "{journal}");
    assert_over(&agent);
}

fn live_on_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    mount(Some("tmpfs"), &state, Some("tmpfs"), MsFlags::empty(), Some("size=2m")).unwrap();
    let _mounted = Mounted(Some(state.clone()));
    let mut agent = Agent::start_in(dir, "");
    agent.wait_in_force();
    // The space that is reserved after the journal's end is given back.
    let journal = File::options().write(true).open(state.join("journal")).unwrap();
    journal.set_len(journal.metadata().unwrap().len()).unwrap();
    fill(&state);
    // Each release is an event, until the last block of the journal is full.
    let full = (0..100).any(|_| {
        agent.verb(&["release"]).ends_with(0);
        agent.verb(&["status"]).ends_with(0).stdout.contains("waits in memory")
    });
    assert!(full, "{:?}", agent.verb(&["status"]));
    agent.verb(&["undo", "--all"]).ends_with(0);
    wait("the files in /run to say so", || agent.active().is_empty());
    assert_over(&agent);
    assert_eq!(undone(&agent), 1);
    // The agent is killed now. By its journal the injection is still open, although it is over.
    agent.kill();
    agent.verb(&["sweep"]).ends_with(0);
    assert_eq!(undone(&agent), 1);
    assert_over(&agent);
}
