//! One agent at a time: a lock on a file in the state directory, shared by an agent's three processes.
//!
//! Somebody may delete the file while they live, alone or with its directory: each of them then makes it again, or takes the
//! one that is there, beside the others. So they hold it shared; whoever wants it takes it for itself alone.
//!
//! The file names them, and so does a copy in `/run` for when the state directory is gone or bad. An agent that starts and
//! finds the lock taken continues those of them that are stopped, so that they put back what is theirs; `undo --all` kills
//! them and puts back itself. Stopped processes would hold lock and faults for ever.

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io,
    os::fd::OwnedFd,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FlockOperation, flock},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use crate::{
    host::{
        Paths,
        process::{Name, Stat},
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
            wait_gone(&signal_stopped_holders(paths, signal), until);
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
                        signal_stopped_holders(paths, signal);
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

    /// Takes it for an agent that starts. Continues those of the holders that are stopped, so that they put back what is
    /// theirs and leave.
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub fn take_over(paths: &Paths, patience: Duration) -> io::Result<Self> {
        Self::take_with(paths, patience, Some(Signal::CONT))
    }

    /// Takes it for whoever puts back in the agent's place. Kills those of the holders that are stopped: the kernel then
    /// removes what belongs to their sockets, and none of them wakes up later and acts.
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub fn replace(paths: &Paths, patience: Duration) -> io::Result<Self> {
        Self::take_with(paths, patience, Some(Signal::KILL))
    }

    /// Names the processes that hold it, in the file and in its copy. One that cannot be written names nobody.
    pub(super) fn name_holders(&self, pids: &[i32]) {
        let names = pids.iter().filter_map(|pid| Stat::read(*pid).ok().flatten());
        let text: String = names.map(|stat| format!("{}\n", stat.name)).collect();
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

/// Sends a signal to those who hold the lock and are stopped. Returns them.
fn signal_stopped_holders(paths: &Paths, signal: Signal) -> Vec<OwnedFd> {
    let mut signalled = Vec::new();
    let files = [paths.state.join(FILE), paths.run.join(HOLDERS)];
    let texts = files.map(|file| std::fs::read_to_string(file).unwrap_or_default());
    let names = texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.parse::<Name>().ok());
    for name in names.collect::<BTreeSet<_>>() {
        let Some(held) = Pid::from_raw(name.pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
        else {
            continue;
        };
        // Looked at while it is held, so that it cannot be another by the time of the signal.
        let stopped =
            Stat::read(name.pid).ok().flatten().is_some_and(|stat| stat.name == name && stat.is_stopped());
        if stopped {
            let what = if signal == Signal::KILL {
                "killed, and what it made is put back in its place"
            } else {
                "continued, so that it puts back what it made"
            };
            tracing::warn!("process {} of the agent before was stopped (SIGSTOP); it is {what}", name.pid);
            let _ = pidfd_send_signal(&held, signal);
            signalled.push(held);
        }
    }
    signalled
}

/// Waits until these processes have ended, but not longer than that.
fn wait_gone(processes: &[OwnedFd], until: Instant) {
    for process in processes {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap_or_default();
        // Readable once the process has ended.
        let _ = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&left));
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert!(!Lock::take(&paths, Duration::ZERO).unwrap().keep().unwrap());
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
        assert!(lock.keep().unwrap());
    }
}
