//! The journal: the agent records each undo here, safe from a power loss, before it touches anything.
//!
//! Records are only appended, each as one readable line. If a write fails, injections are refused, but an undo never is:
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
pub(crate) use file::replace;

use self::file::Log;
use crate::{host::Paths, identity::Identity, time::Time};

/// The file's name in the state directory.
pub const FILE: &str = "journal";
/// The size in bytes at which a journal is rewritten. If the records that have to stay are longer, that size is larger.
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
    /// The action that failed, such as `open`.
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

/// Records that were written to the file, and may not be on the disk yet.
#[derive(Debug)]
pub struct Pending {
    file: Arc<File>,
    path: PathBuf,
    /// The number of the newest event among them.
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
    /// The number of the next event.
    next_seq: u64,
    /// The length in bytes at which the journal is rewritten.
    long_at: u64,
    /// Records that are not written yet.
    waiting: VecDeque<Record>,
    /// The number of the newest event that is safe on disk.
    published: watch::Sender<u64>,
}

/// Reads the journal and the copy without opening anything for writing.
///
/// # Errors
/// The file exists and cannot be read.
pub fn read(paths: &Paths) -> Result<Replayed, JournalError> {
    // The copy is read before the journal, so that the journal is at least as new, even while an agent writes both.
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

/// Reads the journal and the copy as far as they exist, and reports unreadable parts as damage. Also returns the
/// injections that are over although the journal calls them open: they stay closed, even if other records are damaged.
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

    /// Returns the record with which each process begins its part of the journal.
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

    /// Returns a reader of the events after a number. A reader after the newest event begins at the end of the file. It does not
    /// read the whole journal, because that would hold up the thread that also answers calls.
    #[must_use]
    pub fn tail(&self, after: u64) -> Tail {
        if after < self.last_seq() {
            return Tail::new(self.path.clone(), after);
        }
        Tail::from(self.path.clone(), after, self.log.file(), self.log.len())
    }

    /// Makes later events have higher numbers than `seq`. That event was seen, for example in the copy, and the journal may
    /// have lost it.
    pub fn number_after(&mut self, seq: u64) {
        self.next_seq = self.next_seq.max(seq.saturating_add(1));
    }

    /// Writes intents, all or none, safe from a power loss. Also reserves room on the disk for their outcomes.
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
            // Parts of the intents may be on disk. They must not be replayed as armed.
            let _ = self.log.cut(before);
            return Err(fail(source));
        }
        Ok(())
    }

    /// Writes a record, such as a more exact undo, safe from a power loss.
    ///
    /// # Errors
    /// The record is not safe on disk. It waits in memory.
    pub fn record(&mut self, record: Record) -> Result<(), JournalError> {
        self.waiting.push_back(record);
        self.flush()
    }

    /// Numbers an event and writes it. [`Journal::sync`] makes it safe and publishes it. Never fails: an event that cannot be
    /// written waits in memory. If too many wait, the oldest one is lost.
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

    /// Makes all records safe from a power loss, and publishes the events. Never fails: records that cannot be written wait in
    /// memory for the next call.
    pub fn sync(&mut self) {
        if let Err(error) = self.flush() {
            tracing::error!("{}; events wait in memory", error.chain());
        }
    }

    /// Does the first half of [`Journal::sync`], for callers that must not hold the journal while the disk works. They then
    /// call [`Pending::finish`] and [`Journal::publish`].
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

    /// Publishes the events up to the number `seq`, which are safe on disk.
    pub fn publish(&self, seq: u64) {
        self.published.send_if_modified(|published| {
            let is_newer = seq > *published;
            *published = seq.max(*published);
            is_newer
        });
    }

    /// Writes all waiting records, waits for the disk, and publishes the events.
    fn flush(&mut self) -> Result<(), JournalError> {
        let seq = self.begin_sync()?.finish()?;
        self.publish(seq);
        Ok(())
    }

    /// Writes the waiting records. Stops at the first error; the remaining records keep waiting.
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
