//! One agent at a time: a lock on a file in the state directory, shared by an agent's three processes.
//!
//! Somebody may delete the file while they live, alone or with its directory: each of them then makes it again, or takes the
//! one that is there, beside the others. So they hold it shared; whoever wants it takes it for itself alone.
//!
//! The file names the boot and them, and so does a copy in `/run` for when the state directory is gone or bad. Stopped
//! processes would hold lock and faults for ever. Whoever wants the lock signals those of them that are stopped, before the
//! first try and while it waits: `serve` continues them, so that they put back what is theirs; `undo --all`, `sweep` and
//! whoever else heals without an agent kill them and put back in their place.

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
/// The name of the copy of the holders' names, in the directory in `/run`.
const HOLDERS: &str = "holders";

/// The lock. Children forked with it hold it too; it is free when the last of them is gone.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// The copy of the holders' names.
    holders: PathBuf,
    held: Mutex<File>,
}

impl Lock {
    /// Takes it, waiting for an agent that still puts things back.
    ///
    /// # Errors
    /// Another agent runs and does not end within that time (`WouldBlock`), or the file cannot be made.
    pub fn take(paths: &Paths, patience: Duration) -> io::Result<Self> {
        Self::take_with(paths, patience, None)
    }

    fn take_with(paths: &Paths, patience: Duration, to_stopped: Option<Signal>) -> io::Result<Self> {
        let path = paths.state.join(FILE);
        let until = Instant::now() + patience;
        // Before the lock: where it is gone or cannot be opened it keeps nobody waiting, and what belongs to the sockets of
        // stopped processes stays in the kernel until these end.
        if let Some(signal) = to_stopped {
            for process in signal_stopped_holders(paths, signal, Believe::OfThisBoot) {
                let _ = process.ended_within(until.saturating_duration_since(Instant::now()));
            }
        }
        let mut file = open(&path)?;
        let mut said = false;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                // Deleted since it was opened, it keeps nobody out.
                Ok(()) if !is_at(&file, &path) && Instant::now() < until => file = open(&path)?,
                Ok(()) => {
                    return Ok(Self { path, holders: paths.run.join(HOLDERS), held: Mutex::new(file) });
                }
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => {
                    if !std::mem::replace(&mut said, true) {
                        tracing::info!("waiting for another agent to let go of {}", path.display());
                    }
                    // Each time: one may be stopped later.
                    if let Some(signal) = to_stopped {
                        signal_stopped_holders(paths, signal, Believe::WithoutBoot);
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(io::Error::new(
                        io::ErrorKind::WouldBlock,
                        format!(
                            "another agent holds {} and does not end; look who with `fuser`",
                            path.display()
                        ),
                    ));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes it for `serve`. First continues those of the holders that are stopped, and waits until they have put back what
    /// is theirs and left, but not longer than `patience`.
    ///
    /// # Errors
    /// The same as for [`Lock::take`].
    pub fn take_over(paths: &Paths, patience: Duration) -> io::Result<Self> {
        Self::take_with(paths, patience, Some(Signal::CONT))
    }

    /// Takes it for whoever puts back in an agent's place. First kills those of the holders that are stopped: the kernel then
    /// removes what belongs to their sockets, and none of them wakes up later and acts.
    ///
    /// # Errors
    /// The same as for [`Lock::take`].
    pub fn replace(paths: &Paths, patience: Duration) -> io::Result<Self> {
        Self::take_with(paths, patience, Some(Signal::KILL))
    }

    /// Names the boot and the processes that hold it, in the file and in its copy. One that cannot be written names nobody.
    pub(super) fn name_holders(&self, pids: &[i32]) {
        let names = pids.iter().filter_map(|pid| Stat::read(*pid).ok().flatten());
        let names = names.map(|stat| stat.name.to_string());
        let text: String = std::iter::once(boot_id()).chain(names).map(|line| line + "\n").collect();
        let file = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = file.set_len(0).and_then(|()| file.write_all_at(text.as_bytes(), 0));
        let _ = replace(&self.holders, text.as_bytes(), 0o600);
    }

    /// Takes the lock again, on the file that is there now or on a new one, if somebody deleted or replaced the file.
    /// Returns whether that was so; the file names no holders then.
    ///
    /// # Errors
    /// It cannot be made, or another agent has it.
    pub(super) fn keep(&self) -> io::Result<bool> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if is_at(&held, &self.path) {
            return Ok(false);
        }
        let file = open(&self.path)?;
        // Shared: each of the agent's processes comes here by itself.
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => *held = file,
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let why = format!("another agent holds {}, which was made anew", self.path.display());
                return Err(io::Error::new(io::ErrorKind::WouldBlock, why));
            }
            Err(error) => return Err(cannot("lock", &self.path, &error.into())),
        }
        Ok(true)
    }
}

/// Opens or creates the file.
fn open(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|error| cannot("create the directory", dir, &error))?;
    }
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    // On a disk that cannot be written, a lock that is there can still be held.
    file.or_else(|error| File::open(path).map_err(|_| error)).map_err(|error| cannot("open", path, &error))
}

/// Whether this is the file at a path. One that cannot be looked at counts as it.
fn is_at(file: &File, path: &Path) -> bool {
    match (std::fs::metadata(path), file.metadata()) {
        (Ok(there), Ok(own)) => (there.dev(), there.ino()) == (own.dev(), own.ino()),
        (Err(error), _) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        _ => true,
    }
}

/// The files of holders that are believed. A process is named by its pid and its start after boot, and in another boot that
/// can be a stranger: a file of another boot is never believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Believe {
    /// Files that name this boot.
    OfThisBoot,
    /// Also files that name no boot, as older agents wrote them. Only for a lock that somebody holds: then they are recent.
    WithoutBoot,
}

/// Returns the processes that a file names.
fn named(text: &str, believe: Believe) -> impl Iterator<Item = Name> {
    let first = text.lines().next().unwrap_or_default();
    let is_name = first.parse::<Name>().is_ok();
    let believed = if is_name { believe == Believe::WithoutBoot } else { first == boot_id() };
    text.lines().filter(move |_| believed).filter_map(|line| line.parse().ok())
}

/// Sends a signal to those who hold the lock and are stopped. Returns those that it was sent to.
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
                let what = if signal == Signal::KILL {
                    "killed, and what it made is put back in its place"
                } else {
                    "continued, so that it puts back what it made"
                };
                tracing::warn!("process {pid} of the agent before was stopped (SIGSTOP); it is {what}");
                signalled.push(process);
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(
                "process {pid} of the agent before is stopped (SIGSTOP) and cannot be sent a signal: {error}"
            ),
        }
    }
    signalled
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::wait_until;

    /// Maximum wait for a lock that was let go. A child that another test forked meanwhile holds it until its exec.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn paths(dir: &Path) -> Paths {
        Paths { state: dir.join("state"), run: dir.join("run"), runit: Vec::new() }
    }

    #[test]
    fn a_lock_whose_file_is_gone_is_held_again_by_all_who_had_it() {
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
            for one in [worker, guardian] {
                let refused = Lock::take(&paths, Duration::ZERO).unwrap_err();
                assert_eq!(refused.kind(), io::ErrorKind::WouldBlock, "{refused}");
                drop(one);
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
    /// A child, stopped like an agent that somebody sent SIGSTOP.
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
    fn names_of_another_boot_are_believed_by_nobody() {
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
        assert!(stopped.is_stopped(), "another boot's");
        let holder = Lock::take(&paths, PATIENCE).unwrap();
        Lock::replace(&paths, Duration::from_millis(100)).unwrap_err();
        assert!(stopped.is_stopped(), "another boot's, although somebody holds the lock");

        // As older agents wrote it.
        write("");
        drop(holder);
        drop(Lock::replace(&paths, PATIENCE).unwrap());
        assert!(stopped.is_stopped(), "whose boot is not known");
        let _holder = Lock::take(&paths, PATIENCE).unwrap();
        Lock::replace(&paths, Duration::from_millis(100)).unwrap_err();
        wait_until("it is killed", || !stopped.is_stopped());
    }

    #[test]
    fn stopped_holders_of_this_boot_are_ended_before_the_first_try() {
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
