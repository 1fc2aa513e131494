//! Allows one agent at a time, by a lock on a file in the state directory. The agent's three processes share the lock.
//!
//! Somebody may delete the file while the agent runs, alone or with its directory. Each of the three processes then makes the
//! file again, or opens the one that another of the three has made, and locks it. That lock is a shared one, which the three
//! can hold together. A new agent asks for an exclusive lock, and does not get it while one of them lives.
//!
//! The file has the id of the boot and the names of the three processes, and so has a copy in `/run`, for the case that the
//! state directory is gone or unusable. Processes that are stopped (SIGSTOP) would hold lock and faults for ever. So a process
//! that wants the lock sends a signal to those holders that are stopped, before the first try and while it waits. `serve`
//! continues them, so that they put back their faults. `undo --all`, `sweep` and all other ways of healing without an agent
//! kill them, and put back their faults in their place.

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use firedrill_probe::clock::boot_id;
use rustix::{
    fs::{FlockOperation, flock},
    process::Signal,
};

use crate::{
    host::{
        Paths,
        process::{Handle, Name, Stat, alive},
    },
    journal::replace,
};

/// The file's name in the state directory.
const FILE: &str = "lock";
/// The name of the file with the copy of the holders' names, in the run directory.
const HOLDERS: &str = "holders";

/// The lock. Processes that are forked later hold it, too. It is free when the last of them has ended.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// The path of the copy of the holders' names.
    holders: PathBuf,
    /// The open file that is locked.
    held: Mutex<File>,
}

impl Lock {
    /// Takes the lock. Waits up to the time `patience` for an agent that still puts things back.
    ///
    /// # Errors
    /// Another agent runs and does not end within that time (`WouldBlock`), or the file cannot be made.
    pub fn take(paths: &Paths, patience: Duration) -> io::Result<Self> {
        Self::take_with(paths, patience, None)
    }

    /// Takes the lock, and sends the signal `to_stopped` to those holders that are stopped.
    fn take_with(paths: &Paths, patience: Duration, to_stopped: Option<Signal>) -> io::Result<Self> {
        let path = paths.state.join(FILE);
        let until = Instant::now() + patience;
        // This comes before the lock is tried, because a lock whose file is gone or cannot be opened is no reason to wait. But
        // the objects that belong to the sockets of stopped processes stay in the kernel until these processes end.
        if let Some(signal) = to_stopped {
            for process in signal_stopped_holders(paths, signal, Believe::OfThisBoot) {
                let _ = process.ended_within(until.saturating_duration_since(Instant::now()));
            }
        }
        let mut file = open(&path)?;
        let mut reported = false;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                // Somebody has deleted the file since it was opened here, so this lock would keep nobody out.
                Ok(()) if !is_at(&file, &path) && Instant::now() < until => file = open(&path)?,
                Ok(()) => {
                    return Ok(Self { path, holders: paths.run.join(HOLDERS), held: Mutex::new(file) });
                }
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => {
                    if !std::mem::replace(&mut reported, true) {
                        tracing::info!("waiting for another agent to release {}", path.display());
                    }
                    // At each try, because a holder may be stopped while this process waits.
                    if let Some(signal) = to_stopped {
                        signal_stopped_holders(paths, signal, Believe::WithoutBoot);
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(io::Error::new(
                        io::ErrorKind::WouldBlock,
                        format!(
                            "another agent holds {} and does not end; `fuser` shows its processes",
                            path.display()
                        ),
                    ));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes the lock for `serve`. First continues those holders that are stopped, and waits until they have put back their
    /// faults and ended, but not longer than `patience`.
    ///
    /// # Errors
    /// The same as for [`Lock::take`].
    pub fn take_over(paths: &Paths, patience: Duration) -> io::Result<Self> {
        Self::take_with(paths, patience, Some(Signal::CONT))
    }

    /// Takes the lock for a process that puts everything back without an agent. First kills those holders that are stopped:
    /// the kernel then removes the objects that belong to their sockets, and none of them wakes up later and acts.
    ///
    /// # Errors
    /// The same as for [`Lock::take`].
    pub fn replace(paths: &Paths, patience: Duration) -> io::Result<Self> {
        Self::take_with(paths, patience, Some(Signal::KILL))
    }

    /// Writes the id of the boot and the names of the processes that hold the lock, into the file and its copy. A file that
    /// cannot be written has no names.
    pub(super) fn name_holders(&self, pids: &[i32]) {
        let names = pids.iter().filter_map(|pid| Stat::read(*pid).ok().flatten());
        let names = names.map(|stat| stat.name.to_string());
        let text: String = std::iter::once(boot_id()).chain(names).map(|line| line + "\n").collect();
        let file = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = file.set_len(0).and_then(|()| file.write_all_at(text.as_bytes(), 0));
        let _ = replace(&self.holders, text.as_bytes(), 0o600);
    }

    /// Takes the lock again if somebody has deleted or replaced the file: on the file that is there now, or on a new one.
    /// Returns whether it did that. The new file has no names of holders yet.
    ///
    /// # Errors
    /// The file cannot be made, or another agent has locked it.
    pub(super) fn keep(&self) -> io::Result<bool> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if is_at(&held, &self.path) {
            return Ok(false);
        }
        let file = open(&self.path)?;
        // A shared lock, because each of the agent's processes takes it by itself.
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => *held = file,
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let why = format!("another agent holds the new {}", self.path.display());
                return Err(io::Error::new(io::ErrorKind::WouldBlock, why));
            }
            Err(error) => return Err(cannot("lock", &self.path, &error.into())),
        }
        Ok(true)
    }
}

/// Opens the file, or makes it together with its directory.
fn open(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|error| cannot("create the directory", dir, &error))?;
    }
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    // On a file system that cannot be written, a file that exists can still be locked.
    file.or_else(|error| File::open(path).map_err(|_| error)).map_err(|error| cannot("open", path, &error))
}

/// Whether an open file is the one at a path. If the path cannot be read, it counts as the same file.
fn is_at(file: &File, path: &Path) -> bool {
    match (std::fs::metadata(path), file.metadata()) {
        (Ok(at_path), Ok(opened)) => (at_path.dev(), at_path.ino()) == (opened.dev(), opened.ino()),
        (Err(error), _) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        _ => true,
    }
}

/// The files with holders' names that are believed. The name of a process is its pid with its start time after boot. In another
/// boot, another process can have that name, so a file from another boot is never believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Believe {
    /// Files with the id of this boot.
    OfThisBoot,
    /// Also files without the id of a boot, as older agents wrote them. Only for a lock that somebody holds, because then they
    /// are from this boot.
    WithoutBoot,
}

/// Returns the names of processes in the text of a file; none if the file is not believed.
fn named(text: &str, believe: Believe) -> impl Iterator<Item = Name> {
    let first_line = text.lines().next().unwrap_or_default();
    let has_no_boot = first_line.parse::<Name>().is_ok();
    let is_believed = if has_no_boot { believe == Believe::WithoutBoot } else { first_line == boot_id() };
    text.lines().filter(move |_| is_believed).filter_map(|line| line.parse().ok())
}

/// Sends a signal to those holders of the lock that are stopped. Returns these processes.
fn signal_stopped_holders(paths: &Paths, signal: Signal, believe: Believe) -> Vec<Handle> {
    let files = [paths.state.join(FILE), paths.run.join(HOLDERS)];
    let texts = files.map(|file| std::fs::read_to_string(file).unwrap_or_default());
    let names: BTreeSet<Name> = texts.iter().flat_map(|text| named(text, believe)).collect();
    let mut signalled = Vec::new();
    for process in names.into_iter().filter_map(|name| Handle::open(name).ok().flatten()) {
        let pid = process.name().pid;
        if !alive(process.name()).ok().flatten().is_some_and(|stat| stat.is_stopped()) {
            continue;
        }
        match process.signal(signal) {
            Ok(true) => {
                let done = if signal == Signal::KILL {
                    "killed, and its faults are put back in its place"
                } else {
                    "continued, so that it puts back its faults"
                };
                tracing::warn!("process {pid} of an earlier agent was stopped (SIGSTOP); it is {done}");
                signalled.push(process);
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(
                "process {pid} of an earlier agent is stopped (SIGSTOP) and cannot be sent a signal: {error}"
            ),
        }
    }
    signalled
}

/// Adds to an error the failed action and the path.
fn cannot(action: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {action} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::wait_until;

    /// Maximum wait for a lock that was released. A child that another test has forked meanwhile holds it until its exec.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn paths(dir: &Path) -> Paths {
        Paths { state: dir.join("state"), run: dir.join("run"), runit: Vec::new() }
    }

    #[test]
    fn a_lock_whose_file_is_gone_is_held_again_by_all_processes_of_the_agent() {
        for with_directory in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let paths = paths(dir.path());
            let guardian = Lock::take(&paths, Duration::ZERO).unwrap();
            assert!(!guardian.keep().unwrap());
            // As after a fork, the same lock in another process.
            let held = guardian.held.lock().unwrap().try_clone().unwrap();
            let (path, holders) = (guardian.path.clone(), guardian.holders.clone());
            let worker = Lock { path, holders, held: Mutex::new(held) };
            if with_directory {
                std::fs::remove_dir_all(&paths.state).unwrap();
            } else {
                std::fs::remove_file(paths.state.join(FILE)).unwrap();
            }
            assert!(worker.keep().unwrap() && guardian.keep().unwrap());
            worker.name_holders(&[std::process::id().cast_signed()]);
            let named = std::fs::read_to_string(paths.state.join(FILE)).unwrap();
            assert!(named.lines().any(|line| line.parse::<Name>().is_ok()), "{named}");
            for holder in [worker, guardian] {
                let refused = Lock::take(&paths, Duration::ZERO).unwrap_err();
                assert_eq!(refused.kind(), io::ErrorKind::WouldBlock, "{refused}");
                drop(holder);
            }
            assert!(!Lock::take(&paths, PATIENCE).unwrap().keep().unwrap());
        }
    }

    #[test]
    fn a_lock_that_another_agent_took_meanwhile_is_not_shared_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let lock = Lock::take(&paths, Duration::ZERO).unwrap();
        std::fs::remove_file(paths.state.join(FILE)).unwrap();
        let other = Lock::take(&paths, Duration::ZERO).unwrap();
        assert_eq!(lock.keep().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(other);
        wait_until("it is free", || matches!(lock.keep(), Ok(true)));
    }

    /// A child that is stopped, like an agent that somebody sent SIGSTOP.
    struct Stopped(std::process::Child);

    impl Stopped {
        fn new() -> Self {
            let child = Self(std::process::Command::new("sleep").arg("600").spawn().unwrap());
            let process = Handle::open(child.name()).unwrap().unwrap();
            process.signal(Signal::STOP).unwrap();
            wait_until("it is stopped", || child.is_stopped());
            child
        }

        fn name(&self) -> Name {
            Stat::read(self.0.id().cast_signed()).unwrap().unwrap().name
        }

        fn is_stopped(&self) -> bool {
            alive(self.name()).unwrap().is_some_and(|stat| stat.is_stopped())
        }
    }

    impl Drop for Stopped {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    #[test]
    fn names_from_another_boot_are_never_believed() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let stopped = Stopped::new();
        let write = |boot: &str| {
            for file in [paths.state.join(FILE), paths.run.join(HOLDERS)] {
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, format!("{boot}{}\n", stopped.name())).unwrap();
            }
        };
        write("0b5f2a3e-6c1d-4f7a-9e57-3d5e8c1f2a44\n");
        drop(Lock::replace(&paths, PATIENCE).unwrap());
        drop(Lock::take_over(&paths, PATIENCE).unwrap());
        assert!(stopped.is_stopped(), "the name is from another boot");
        let holder = Lock::take(&paths, PATIENCE).unwrap();
        Lock::replace(&paths, Duration::from_millis(100)).unwrap_err();
        assert!(stopped.is_stopped(), "the name is from another boot, although somebody holds the lock");

        // Older agents wrote no id of a boot.
        write("");
        drop(holder);
        drop(Lock::replace(&paths, PATIENCE).unwrap());
        assert!(stopped.is_stopped(), "the name's boot is not known, and nobody holds the lock");
        let _holder = Lock::take(&paths, PATIENCE).unwrap();
        Lock::replace(&paths, Duration::from_millis(100)).unwrap_err();
        wait_until("it is killed", || !stopped.is_stopped());
    }

    #[test]
    fn stopped_holders_of_this_boot_are_killed_before_the_first_try() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let stopped = Stopped::new();
        Lock::take(&paths, Duration::ZERO).unwrap().name_holders(&[stopped.0.id().cast_signed()]);
        let text = std::fs::read_to_string(paths.state.join(FILE)).unwrap();
        assert_eq!(text, format!("{}\n{}\n", boot_id(), stopped.name()));
        drop(Lock::replace(&paths, PATIENCE).unwrap());
        assert_eq!(alive(stopped.name()).unwrap(), None);
    }
}
