//! The place of an index: a file beside the runs, or memory where that cannot be written.
//!
//! Whoever has the index open holds a shared lock on the file beside it. It is thrown away only under an exclusive lock, because
//! SQLite must not lose its file while another program uses it. Nobody waits long for a lock: a program may hold the shared one as long as it runs.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use firedrill_files::lock;

use super::store::{Store, Unusable};

/// The names begin with a dot: hidden folders and files are no runs.
const INDEX: &str = ".history.sqlite";
const LOCK: &str = ".history.lock";

/// Number of tries until an index is given up that other programs, of another version, throw away again and again.
const TRIES: usize = 3;
/// Maximum time to wait for locks.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time between two attempts to get a lock.
const STEP: Duration = Duration::from_millis(20);

/// An open index, and what keeps others from throwing it away.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) store: Store,
    /// Held as long as the store is open; `None` in memory.
    lock: Option<File>,
    /// The reason why the index is in memory only.
    pub(super) why_memory: Option<String>,
}

impl Place {
    /// Opens the index of a directory of runs; makes it anew where it is missing, damaged or of another version.
    pub(super) fn open(reports: &Path) -> rusqlite::Result<Self> {
        match in_file(reports) {
            Ok((store, lock)) => Ok(Self { store, lock: Some(lock), why_memory: None }),
            Err(why) => Self::memory(Some(why)),
        }
    }

    /// Makes an index in memory.
    pub(super) fn memory(why_memory: Option<String>) -> rusqlite::Result<Self> {
        Ok(Self { store: Store::in_memory()?, lock: None, why_memory })
    }

    /// Throws the index away and makes it anew.
    pub(super) fn again(self, reports: &Path) -> rusqlite::Result<Self> {
        let was_file = self.lock.is_some();
        // Closes the database before its lock is given up.
        drop(self);
        if was_file {
            let thrown = lock_file(reports).and_then(|lock| {
                lock::within(Instant::now() + PATIENCE, STEP, || lock.try_lock()).map_err(|error| {
                    told(error, "a running program has the index open; restart it (firedrill serve)")
                })?;
                throw_away(reports)
            });
            if let Err(error) = thrown {
                return Self::memory(Some(format!("the damaged index cannot be removed: {error}")));
            }
        }
        Self::open(reports)
    }
}

/// Whether there is an index in a directory.
pub(super) fn is_there(reports: &Path) -> bool {
    reports.join(INDEX).exists()
}

fn lock_file(reports: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).read(true).write(true).open(reports.join(LOCK))
}

/// Returns the error of a lock that was not taken. `busy` says who has it.
fn told(error: TryLockError, busy: &str) -> io::Error {
    match error {
        TryLockError::Error(error) => error,
        TryLockError::WouldBlock => io::Error::other(busy.to_owned()),
    }
}

fn throw_away(reports: &Path) -> io::Result<()> {
    for name in [INDEX.to_owned(), format!("{INDEX}-journal"), format!("{INDEX}-wal"), format!("{INDEX}-shm")]
    {
        match fs::remove_file(reports.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn in_file(reports: &Path) -> Result<(Store, File), String> {
    let path = reports.join(INDEX);
    let lock = lock_file(reports).map_err(|error| format!("{LOCK} cannot be written: {error}"))?;
    let failed = |error: io::Error| format!("{LOCK} cannot be locked: {error}");
    let (until, mut made) = (Instant::now() + PATIENCE, 0);
    while made < TRIES {
        lock::within(until, STEP, || lock.try_lock_shared()).map_err(|error| {
            failed(told(error, "another program makes the index anew and does not finish; try again"))
        })?;
        if path.exists() {
            match Store::open(&path) {
                Ok(store) => return Ok((store, lock)),
                Err(Unusable::Failed(error)) => return Err(format!("{INDEX} cannot be used: {error}")),
                Err(Unusable::Stale) => {}
            }
        }
        lock.unlock().map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            // Another program has the index open: one of this version, which has made it anew meanwhile, or one of another version.
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                thread::sleep(STEP);
                continue;
            }
            Err(error) => {
                let open =
                    "a running program of another version has the index open; restart it (firedrill serve)";
                return Err(failed(told(error, open)));
            }
        }
        // Another program may have made it anew meanwhile.
        if !matches!(path.exists().then(|| Store::open(&path)), Some(Ok(_))) {
            throw_away(reports).map_err(|error| format!("{INDEX} cannot be made anew: {error}"))?;
            Store::create(&path).map_err(|error| format!("{INDEX} cannot be made: {error}"))?;
        }
        lock.unlock().map_err(failed)?;
        made += 1;
    }
    Err(format!("another version of firedrill makes {INDEX} anew at the same time"))
}
