//! The journal: an undo is recorded here, safe from a power loss, before anything is touched.
//!
//! It is append-only, with one readable line per record. A write that fails refuses injections but never an undo:
//! events that cannot be written wait in memory, and are written when there is room again.

mod closed;
mod copy;
mod file;
mod record;
mod replay;
mod rewrite;
mod tail;
mod tombstones;

use std::{
    collections::VecDeque,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use firedrill_wire::journal::{AgentEvent, What};
use tokio::sync::watch;

pub use self::{
    closed::{Closed, add as keep_closed, merge as merge_closed, remove as forget_closed},
    copy::{FILE as COPY_FILE, write as write_copy},
    record::{FORMAT, Intent, Record, Tombstone},
    replay::{Found, Replayed, replay},
    rewrite::{Compacted, Compaction, Lost},
    tail::Tail,
    tombstones::Tombstones,
};
pub(crate) use file::{remove_if_there, replace};

use self::file::Log;
use crate::{host::Paths, identity::Identity, time::Time};

/// The file's name in the state directory.
pub const FILE: &str = "journal";
/// A journal of this many bytes is rewritten, or later if the records that have to stay are longer.
const LARGE: u64 = 8 * 1024 * 1024;
/// Maximum number of the newest events that stay readable for coordinators that were cut off.
const EVENTS_KEPT: usize = 10_000;
/// Maximum size of these events in bytes.
const BYTES_KEPT: usize = 4 * 1024 * 1024;
/// Maximum number of events that wait in memory while the disk is full.
const WAITING_MOST: usize = 10_000;

/// The journal could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}", path.display())]
pub struct JournalError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl JournalError {
    /// Returns the error with its causes, in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        format!("{self}: {}", self.source)
    }
}

/// Records that were written and wait for the disk.
#[derive(Debug)]
pub struct Pending {
    file: Arc<File>,
    path: PathBuf,
    seq: u64,
}

impl Pending {
    /// Waits until the records are safe from a power loss. Returns the number of the newest event that is safe.
    ///
    /// # Errors
    /// The disk failed.
    pub fn finish(self) -> Result<u64, JournalError> {
        match self.file.sync_data() {
            Ok(()) => Ok(self.seq),
            Err(source) => Err(JournalError { what: "sync", path: self.path, source }),
        }
    }
}

/// The journal, open for appending. One process at a time has it open; see the guardian's lock.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    log: Log,
    identity: Identity,
    time: &'static dyn Time,
    next_seq: u64,
    /// The length in bytes from which it is rewritten.
    long_at: u64,
    waiting: VecDeque<Record>,
    published: watch::Sender<u64>,
}

/// Reads the journal and the copy without opening anything for writing.
///
/// # Errors
/// The file exists and cannot be read.
pub fn read(paths: &Paths) -> Result<Replayed, JournalError> {
    // Read before the journal, so that the journal is at least as new even while an agent writes both.
    let copy = copy::load(&paths.run);
    let path = paths.state.join(FILE);
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(|source| JournalError { what: "read", path, source })?,
    };
    let mut replayed = replay(&bytes);
    copy::merge(copy, &mut replayed);
    Ok(replayed)
}

/// Reads journal and copy, whichever of them exists, and reports unreadable parts as damage. Also returns the
/// injections that are over although the journal calls them open: they stay closed, whatever else is damaged.
#[must_use]
pub fn read_any(paths: &Paths, here: &Identity) -> (Replayed, Vec<Closed>) {
    let mut replayed = read(paths).unwrap_or_else(|error| {
        let mut only_copy = Replayed { damage: vec![error.chain()], ..Replayed::default() };
        copy::merge(copy::load(&paths.run), &mut only_copy);
        only_copy
    });
    let closed = merge_closed(&paths.run, here, &mut replayed);
    (replayed, closed)
}

impl Journal {
    /// Opens or creates the file in the state directory, cuts off a torn tail, and replays it. Events get their times from
    /// `time`.
    ///
    /// # Errors
    /// The directory or the file cannot be made, read or written.
    pub fn open(
        paths: &Paths,
        here: &Identity,
        time: &'static dyn Time,
    ) -> Result<(Self, Replayed), JournalError> {
        std::fs::create_dir_all(&paths.state).map_err(|source| JournalError {
            what: "create the directory",
            path: paths.state.clone(),
            source,
        })?;
        // The journal does not need the run directory; the code that writes there reports its problems.
        let _ = std::fs::create_dir_all(&paths.run);
        let path = paths.state.join(FILE);
        let fail = |what| {
            let path = path.clone();
            move |source| JournalError { what, path, source }
        };
        let (mut log, bytes) = Log::open(&path).map_err(fail("open"))?;
        let mut replayed = replay(&bytes);
        if replayed.torn > 0 {
            log.cut(replayed.whole).map_err(fail("cut the torn end off"))?;
        }
        copy::merge(copy::load(&paths.run), &mut replayed);
        let mut journal = Self {
            path,
            log,
            identity: here.clone(),
            time,
            next_seq: replayed.last_seq + 1,
            long_at: LARGE,
            waiting: VecDeque::new(),
            published: watch::Sender::new(replayed.last_seq),
        };
        journal.waiting.push_back(journal.header());
        Ok((journal, replayed))
    }

    fn header(&self) -> Record {
        Record::Header {
            format: FORMAT,
            identity: self.identity.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            last_seq: self.last_seq(),
        }
    }

    /// Returns the number of the newest event that is safe on disk, as a value to wait for.
    #[must_use]
    pub fn published(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
    }

    /// Returns the file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the number of the newest event, on disk or not.
    #[must_use]
    pub const fn last_seq(&self) -> u64 {
        self.next_seq - 1
    }

    /// Returns a reader of the events after a number. One that has seen all of them does not read the journal again, which
    /// is done by the thread that also answers calls.
    #[must_use]
    pub fn tail(&self, after: u64) -> Tail {
        if after < self.last_seq() {
            return Tail::new(self.path.clone(), after);
        }
        Tail::from(self.path.clone(), after, self.log.file(), self.log.len())
    }

    /// Numbers later events after this one: it was seen, and the journal may have lost it.
    pub fn number_after(&mut self, seq: u64) {
        self.next_seq = self.next_seq.max(seq.saturating_add(1));
    }

    /// Writes intents, all or none, safe from a power loss. There must also be room for their outcomes.
    ///
    /// # Errors
    /// Nothing may be injected: the journal is full or broken.
    pub fn intents(&mut self, intents: &[Intent]) -> Result<(), JournalError> {
        let path = self.path.clone();
        let fail = |source| JournalError { what: "append to", path: path.clone(), source };
        self.write_waiting().map_err(fail)?;
        let before = self.log.len();
        let mut bytes = Vec::new();
        for intent in intents {
            let record = Record::Intent(Box::new(intent.clone()));
            bytes.extend(record::encode(&record).map_err(|error| fail(error.into()))?);
        }
        let written =
            self.log.append(&bytes).and_then(|()| self.log.reserve()).and_then(|()| self.log.sync());
        if let Err(source) = written {
            // Parts of them that may be on disk must not be replayed as armed.
            let _ = self.log.cut(before);
            return Err(fail(source));
        }
        Ok(())
    }

    /// Writes a more exact undo, safe from a power loss.
    ///
    /// # Errors
    /// It is not on disk.
    pub fn record(&mut self, record: Record) -> Result<(), JournalError> {
        self.waiting.push_back(record);
        self.flush()
    }

    /// Numbers an event and writes it; [`Journal::sync`] makes it safe and publishes it. Never fails: events that
    /// cannot be written wait.
    pub fn event(&mut self, what: What) -> AgentEvent {
        let event = AgentEvent {
            seq: self.next_seq,
            boot_us: self.time.boot_us(),
            boot_id: self.identity.boot_id.clone(),
            wall_us: self.time.wall_us(),
            what,
        };
        self.next_seq += 1;
        if self.waiting.len() >= WAITING_MOST {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Record::Event(event.clone()));
        if let Err(error) = self.write_waiting() {
            tracing::error!("cannot append to {}: {error}; the event waits in memory", self.path.display());
        }
        event
    }

    /// Whether a record waits in memory because the disk is full or broken.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Makes all written records safe from a power loss, and publishes them. Never fails: it is tried again.
    pub fn sync(&mut self) {
        if let Err(error) = self.flush() {
            tracing::error!("{}; events wait in memory", error.chain());
        }
    }

    /// The first half of [`Journal::sync`], for callers that do not hold the journal while the disk works;
    /// [`Pending::finish`] and [`Journal::publish`] follow.
    ///
    /// # Errors
    /// Something could not be written; it waits in memory.
    pub fn begin_sync(&mut self) -> Result<Pending, JournalError> {
        self.write_waiting().map_err(|source| JournalError {
            what: "append to",
            path: self.path.clone(),
            source,
        })?;
        Ok(Pending { file: self.log.file(), path: self.path.clone(), seq: self.last_seq() })
    }

    /// Publishes events up to that number, which are safe on disk.
    pub fn publish(&self, seq: u64) {
        self.published.send_if_modified(|seen| {
            let more = seq > *seen;
            *seen = seq.max(*seen);
            more
        });
    }

    fn flush(&mut self) -> Result<(), JournalError> {
        let seq = self.begin_sync()?.finish()?;
        self.publish(seq);
        Ok(())
    }

    fn write_waiting(&mut self) -> io::Result<()> {
        while let Some(next) = self.waiting.front() {
            self.log.append(&record::encode(next)?)?;
            self.waiting.pop_front();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
