//! Writes the write record of one probe: an intent before the first byte of a write is sent, one outcome after it. Each entry is one `write`, which
//! outlives the process; a thread syncs the file, so that no request waits for the disk. Never sends a record, and never judges.

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use firedrill_wire::writes::Author;

use super::{
    entry::{Entry, Kind, LENGTH, NO_CAUSE},
    file::{self, Contents, Header, MOST_BYTES},
    tidy::tidy,
};
use crate::{
    clock::{boot_id, boot_us},
    locked::lock,
};

/// Time between two syncs: at most this much is lost when the vantage loses its power.
const SYNC_EVERY: Duration = Duration::from_millis(50);

/// The number of entries of a write: its intent and its outcome.
const ENTRIES_OF_WRITE: u64 = 2;

/// The flaw of a record whose file takes nothing, for people.
const BROKEN: &str = "the write record could not be written: outcomes of writes are missing in it";
/// The flaw of a record that has its maximum length, for people.
const FULL: &str = "the write record is full: nothing more was written to the store";

/// The record of a probe that writes.
#[derive(Debug)]
pub struct Record {
    folder: PathBuf,
    header: Header,
    file: Arc<Synced>,
    state: Mutex<State>,
}

/// The file, and whether all of it is on the disk.
#[derive(Debug)]
struct Synced {
    file: File,
    /// Whether something was written since the last sync.
    dirty: AtomicBool,
    /// Whether the record was dropped.
    over: AtomicBool,
    /// Whether the disk did not take something.
    failed: AtomicBool,
}

impl Synced {
    fn sync(&self) -> io::Result<()> {
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        // A file system tells such an error once, and drops what it could not write.
        self.file.sync_data().inspect_err(|_| self.failed.store(true, Ordering::Release))
    }
}

/// The state of the file that is being written.
#[derive(Debug)]
struct State {
    /// The number of the next write.
    next: u64,
    /// The length of the file.
    bytes: u64,
    /// The numbers of the writes without an outcome.
    open: BTreeSet<u64>,
    /// An entry could not be written whole. Nothing is written behind it.
    broken: bool,
    /// A write was not announced, because the file has its maximum length.
    full: bool,
}

/// A write that was announced. It has exactly one outcome: dropped without one, it is unknown, by the time-out.
#[derive(Debug)]
pub struct Intent<'r> {
    record: &'r Record,
    seq: u64,
    due_us: u64,
    ended: bool,
}

impl Record {
    /// Begins a file for one start of a probe. Removes files of other runs that are too old or too many.
    ///
    /// # Errors
    /// A name cannot be part of a file's name, or the file cannot be made.
    pub fn begin(folder: &Path, author: &Author, probe: &str) -> io::Result<Self> {
        if let Some(wrong) =
            [author.run.as_str(), probe, &author.vantage].into_iter().find(|name| !file::fits(name))
        {
            let why = format!("`{wrong}` cannot be part of a file's name");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        std::fs::create_dir_all(folder)?;
        tidy(folder, author.run.as_str());
        let number = file::newest(folder, author, probe)? + 1;
        let header = Header {
            author: author.clone(),
            probe: probe.to_owned(),
            prefix: file::prefix(author, probe),
            boot_id: boot_id(),
            number,
        };
        let path = file::path(folder, author, probe, number);
        let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        let bytes = header.bytes()?;
        file.write_all(&bytes)?;
        let file = Arc::new(Synced {
            file,
            dirty: AtomicBool::new(true),
            over: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        });
        sync_often(Arc::clone(&file))?;
        let state = State {
            next: header.first_seq(),
            bytes: bytes.len() as u64,
            open: BTreeSet::new(),
            broken: false,
            full: false,
        };
        Ok(Self { folder: folder.to_owned(), header, file, state: Mutex::new(state) })
    }

    /// Returns the beginning of all keys.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.header.prefix
    }

    /// Returns the id of the boot that the record's times belong to.
    #[must_use]
    pub fn boot_id(&self) -> &str {
        &self.header.boot_id
    }

    /// Announces the next write. It must not be sent after an error.
    ///
    /// # Errors
    /// The entry cannot be written, or the file is full.
    pub fn intent(&self, due_us: u64) -> io::Result<Intent<'_>> {
        let mut state = lock(&self.state);
        // This write needs space for its entries, and each write that is under way for its outcome.
        let entries = state.open.len() as u64 + ENTRIES_OF_WRITE;
        if state.bytes + entries * (LENGTH as u64) > MOST_BYTES {
            state.full = true;
            return Err(io::Error::other(FULL));
        }
        let seq = state.next;
        self.put(
            &mut state,
            &Entry { kind: Kind::Intent, code: NO_CAUSE, attempt: 0, seq, due_us, at_us: boot_us() },
        )?;
        state.next += 1;
        state.open.insert(seq);
        drop(state);
        Ok(Intent { record: self, seq, due_us, ended: false })
    }

    /// Notes writes that a read-back has told as lost.
    ///
    /// # Errors
    /// The entries cannot be written.
    pub(super) fn missed(&self, seqs: &[u64]) -> io::Result<()> {
        let mut state = lock(&self.state);
        for seq in seqs {
            let entry = Entry {
                kind: Kind::Missed,
                code: NO_CAUSE,
                attempt: 0,
                seq: *seq,
                due_us: 0,
                at_us: boot_us(),
            };
            self.put(&mut state, &entry)?;
        }
        drop(state);
        self.sync()
    }

    /// Returns the number of the next write, and the numbers of those that have no outcome.
    pub(super) fn under_way(&self) -> (u64, BTreeSet<u64>) {
        let state = lock(&self.state);
        (state.next, state.open.clone())
    }

    /// Returns the numbers of all writes that were announced.
    ///
    /// # Errors
    /// A file cannot be read, or has no sound header.
    pub(crate) fn announced(&self) -> io::Result<BTreeSet<u64>> {
        let entries = self.read()?.into_iter().flat_map(|file| file.entries);
        Ok(entries.filter(|entry| entry.kind == Kind::Intent).map(|entry| entry.seq).collect())
    }

    /// Waits until all entries are on the disk.
    ///
    /// # Errors
    /// The disk does not take them.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    /// Returns what is wrong with the file that is being written, for people.
    ///
    /// # Errors
    /// The file cannot be looked at.
    pub(super) fn flaw(&self) -> io::Result<Option<&'static str>> {
        let state = lock(&self.state);
        if state.broken {
            return Ok(Some(BROKEN));
        }
        if state.full {
            return Ok(Some(FULL));
        }
        if self.file.failed.load(Ordering::Acquire) {
            return Ok(Some("the disk did not take all of the write record"));
        }
        let changed = self.file.file.metadata()?.len() != state.bytes;
        Ok(changed.then_some("the write record was changed by somebody else"))
    }

    /// Reads all files of the probe and the run, also those of earlier starts.
    ///
    /// # Errors
    /// A file cannot be read, or has no sound header.
    pub fn read(&self) -> io::Result<Vec<Contents>> {
        file::read_all(&self.folder, &self.header.author, &self.header.probe)
    }

    fn put(&self, state: &mut State, entry: &Entry) -> io::Result<()> {
        if state.broken {
            return Err(io::Error::other(BROKEN));
        }
        if let Err(why) = (&self.file.file).write_all(&entry.bytes()) {
            state.broken = true;
            tracing::error!(error = %why, probe = self.header.probe, "cannot write the write record; nothing more is written to the store");
            return Err(why);
        }
        state.bytes += LENGTH as u64;
        self.file.dirty.store(true, Ordering::Release);
        Ok(())
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.file.over.store(true, Ordering::Release);
    }
}

impl Intent<'_> {
    /// Returns the number of the write.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Notes the outcome. `code` is its cause, or [`NO_CAUSE`].
    pub fn end(mut self, kind: Kind, code: u32) {
        self.note(kind, code);
    }

    fn note(&mut self, kind: Kind, code: u32) {
        self.ended = true;
        let (seq, due_us) = (self.seq, self.due_us);
        let entry = Entry { kind, code, attempt: 0, seq, due_us, at_us: boot_us() };
        // Without its outcome the write reads as unknown, and the record is known to be broken.
        let mut state = lock(&self.record.state);
        state.open.remove(&seq);
        let _ = self.record.put(&mut state, &entry);
    }
}

impl Drop for Intent<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.note(Kind::Unknown, crate::outcome::Cause::Timeout.code());
        }
    }
}

/// Syncs the file until its record is dropped, and once more then.
fn sync_often(file: Arc<Synced>) -> io::Result<()> {
    let sync = move || loop {
        let over = file.over.load(Ordering::Acquire);
        if let Err(why) = file.sync() {
            tracing::error!(error = %why, "cannot sync the write record; it may lack its end after a loss of power");
            return;
        }
        if over {
            return;
        }
        std::thread::sleep(SYNC_EVERY);
    };
    std::thread::Builder::new().name("firedrill-record".to_owned()).spawn(sync).map(drop)
}

#[cfg(test)]
mod tests {
    use firedrill_wire::RunId;

    use super::*;

    fn record(folder: &Path) -> Record {
        let author = Author { run: "r".parse::<RunId>().expect("an id"), vantage: "v".to_owned() };
        Record::begin(folder, &author, "p").expect("a file")
    }

    #[test]
    fn a_disk_that_is_full_ends_the_writes_and_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut record = record(folder.path());
        let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let under_way = record.intent(1).expect("there was space").seq();
        assert_eq!(record.flaw().expect("looks"), None);
        record.file = Arc::new(Synced {
            file: full,
            dirty: AtomicBool::new(false),
            over: AtomicBool::new(true),
            failed: AtomicBool::new(false),
        });
        assert!(record.intent(2).is_err(), "what is not in the record is not sent");
        let why = record.flaw().expect("looks").expect("it is told");
        assert!(why.contains("could not be written"), "{why}");
        // What was sent before, and got no outcome in the file, is unknown there.
        let files = record.read().expect("reads");
        assert_eq!(files[0].entries.iter().filter(|one| one.seq == under_way).count(), 2);
    }

    #[test]
    fn a_file_that_somebody_cut_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let record = record(folder.path());
        for due in 0..9 {
            record.intent(due).expect("there is space").end(Kind::Acked, NO_CAUSE);
        }
        assert_eq!(record.flaw().expect("looks"), None);
        let path = file::path(folder.path(), &record.header.author, "p", 1);
        let cut = record.state.lock().expect("no panic").bytes - 4 * LENGTH as u64;
        OpenOptions::new().write(true).open(path).expect("opens").set_len(cut).expect("cuts");
        assert_eq!(record.read().expect("reads")[0].entries.len(), 14, "each entry that is left is sound");
        assert_eq!(record.flaw().expect("looks"), Some("the write record was changed by somebody else"));
    }

    #[test]
    fn a_full_record_keeps_space_for_outcomes() {
        let folder = tempfile::tempdir().expect("a folder");
        let record = record(folder.path());
        let under_way = record.intent(0).expect("there is space");
        record.state.lock().expect("no panic").bytes = MOST_BYTES - 2 * LENGTH as u64;
        assert!(record.intent(1).is_err());
        let why = record.flaw().expect("looks").expect("it is told");
        assert!(why.contains("full"), "{why}");
        under_way.end(Kind::Acked, NO_CAUSE);
        let outcome = record.read().expect("reads")[0].entries.last().expect("entries").kind;
        assert_eq!(outcome, Kind::Acked);
    }

    #[test]
    fn records_of_another_run_with_the_same_name_of_a_file_are_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let author = |run: &str| Author { run: run.parse().expect("an id"), vantage: "v".to_owned() };
        let other = Record::begin(folder.path(), &author("r-a"), "p").expect("a file");
        let own = Record::begin(folder.path(), &author("r"), "a-p").expect("a file");
        other.intent(1).expect("there is space").end(Kind::Acked, NO_CAUSE);
        own.intent(2).expect("there is space").end(Kind::Acked, NO_CAUSE);
        let entries = |record: &Record| {
            let all = record.read().expect("reads").into_iter().flat_map(|file| file.entries);
            all.map(|entry| entry.due_us).collect::<Vec<_>>()
        };
        assert_eq!((entries(&other), entries(&own)), (vec![1, 1], vec![2, 2]));
    }
}
