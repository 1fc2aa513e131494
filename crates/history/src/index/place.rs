//! The place of an index: a file beside the runs, or memory if that file cannot be written.
//!
//! A program that has the index open holds a shared lock on the file [`LOCK`] beside it. The index is removed only under an exclusive lock, because
//! SQLite must not lose its file while another program uses it. Programs do not wait long for a lock, because a server holds the shared lock as long
//! as it runs.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use firedrill_files::lock;

use super::store::{Store, Unusable};

/// The file of the index. Its name begins with a dot, so it is not taken for a run.
const INDEX: &str = ".history.sqlite";
/// The file that programs lock while they use the index.
const LOCK: &str = ".history.lock";

/// Number of times that the index is made anew before it is given up. Programs of another version may remove it again and again.
const TRIES: usize = 3;
/// Maximum time to wait for locks.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time between two attempts to get a lock.
const STEP: Duration = Duration::from_millis(20);

/// An open index, and the lock that keeps other programs from removing it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) store: Store,
    /// Held as long as the store is open; `None` for an index in memory.
    lock: Option<File>,
    /// The reason why the index is only in memory; `None` for a file.
    pub(super) why_memory: Option<String>,
}

impl Place {
    /// Opens the index of a directory of runs. Makes it anew if it is missing, damaged or of another version.
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

    /// Removes the index and makes it anew.
    pub(super) fn again(self, reports: &Path) -> rusqlite::Result<Self> {
        let was_file = self.lock.is_some();
        // Closes the database, then releases the lock: fields are dropped in their order.
        drop(self);
        if was_file {
            let removed = lock_file(reports).and_then(|lock| {
                lock::within(Instant::now() + PATIENCE, STEP, || lock.try_lock()).map_err(|error| {
                    lock_error(error, "a running program has the index open; restart it (firedrill serve)")
                })?;
                remove(reports)
            });
            if let Err(error) = removed {
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

/// Returns the error of a lock that was not taken. `busy` is the message if another program holds it.
fn lock_error(error: TryLockError, busy: &str) -> io::Error {
    match error {
        TryLockError::Error(error) => error,
        TryLockError::WouldBlock => io::Error::other(busy.to_owned()),
    }
}

/// Removes the files of the index.
fn remove(reports: &Path) -> io::Result<()> {
    for name in [INDEX.to_owned(), format!("{INDEX}-journal"), format!("{INDEX}-wal"), format!("{INDEX}-shm")]
    {
        match fs::remove_file(reports.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Opens the index as a file, or makes it anew. The error is the reason why it cannot be a file.
fn in_file(reports: &Path) -> Result<(Store, File), String> {
    let path = reports.join(INDEX);
    let lock = lock_file(reports).map_err(|error| format!("{LOCK} cannot be written: {error}"))?;
    let failed = |error: io::Error| format!("{LOCK} cannot be locked: {error}");
    let (until, mut made) = (Instant::now() + PATIENCE, 0);
    while made < TRIES {
        lock::within(until, STEP, || lock.try_lock_shared()).map_err(|error| {
            failed(lock_error(error, "another program makes the index anew and does not finish; try again"))
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
            // Another program has the index open. If it is of this version, it has made the index anew meanwhile, and the next round opens it.
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                thread::sleep(STEP);
                continue;
            }
            Err(error) => {
                let open =
                    "a running program of another version has the index open; restart it (firedrill serve)";
                return Err(failed(lock_error(error, open)));
            }
        }
        // Another program may have made the index anew before this one got the exclusive lock.
        if !matches!(path.exists().then(|| Store::open(&path)), Some(Ok(_))) {
            remove(reports).map_err(|error| format!("{INDEX} cannot be made anew: {error}"))?;
            Store::create(&path).map_err(|error| format!("{INDEX} cannot be made: {error}"))?;
        }
        lock.unlock().map_err(failed)?;
        made += 1;
    }
    Err(format!("another version of firedrill makes {INDEX} anew at the same time"))
}
