//! Appends to `events.jsonl`. One process writes a log at a time; no record is ever changed.
//!
//! Bins are collected for some seconds and written together. A crash of the coordinator loses only bins of its own
//! probes that were not yet written (agents keep theirs until they are read).

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use firedrill_files::{lock, regular};
use firedrill_probe::seconds::encode;
use firedrill_wire::probe::Bin;

use super::{Event, Log, LogError, Record, measured::Place, pending::Pending, read};

/// Maximum time until a bin is written, in microseconds.
const WAIT_US: i64 = 5_000_000;
/// Maximum number of bins that wait to be written.
const MOST_WAITING: u64 = 2000;
/// Maximum time to wait for the lock. Readers that ask whether somebody writes a log hold a shared one for a moment.
const PATIENCE: Duration = Duration::from_millis(500);
/// Time between two attempts to get the lock.
const STEP: Duration = Duration::from_millis(10);

/// Appends records to one log, which it holds locked.
#[derive(Debug)]
pub struct Writer {
    /// `None` after the file was given up; later records are in memory only.
    file: Option<File>,
    path: PathBuf,
    /// Length of the whole records, in bytes.
    whole: u64,
    lines: usize,
    log: Log,
    pending: Pending,
    /// Time at which the first of the pending bins came.
    since_us: i64,
}

impl Writer {
    /// Creates a new log.
    ///
    /// # Errors
    /// The file exists already or cannot be made.
    pub fn create(path: &Path) -> Result<Self, LogError> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create_new(true)
            .open(path)
            .map_err(|source| LogError::Io { doing: "create", path: path.to_owned(), source })?;
        lock_until(path, Instant::now() + PATIENCE, || file.try_lock())?;
        let log = Log::in_file(path);
        Ok(Self::new(file, path, 0, log))
    }

    /// Returns a writer for a file whose first `whole` bytes are the records of `log`.
    fn new(file: File, path: &Path, whole: u64, log: Log) -> Self {
        let (path, lines, pending) = (path.to_owned(), log.lines, Pending::default());
        Self { file: Some(file), path, whole, lines, log, pending, since_us: 0 }
    }

    /// Continues a log whose writer died. A torn last line, which never was a record, is cut off.
    ///
    /// # Errors
    /// The log cannot be read or is damaged, or another process writes it.
    pub fn resume(path: &Path) -> Result<Self, LogError> {
        let io = |doing| move |source| LogError::Io { doing, path: path.to_owned(), source };
        let mut file = OpenOptions::new().read(true).append(true).open(path).map_err(io("open"))?;
        lock_until(path, Instant::now() + PATIENCE, || file.try_lock())?;
        let log = read(path)?;
        file.set_len(log.whole_bytes).map_err(io("cut the torn last line off"))?;
        let mut whole = log.whole_bytes;
        let mut last = [b'\n'];
        if let Some(last_offset) = whole.checked_sub(1) {
            file.read_exact_at(&mut last, last_offset).map_err(io("read"))?;
        }
        if last != [b'\n'] {
            file.write_all(b"\n").map_err(io("append to"))?;
            whole += 1;
        }
        Ok(Self::new(file, path, whole, log))
    }

    /// Returns the log so far, without bins that are not written yet ([`Self::flush`]).
    #[must_use]
    pub const fn log(&self) -> &Log {
        &self.log
    }

    /// Takes the log of a run that is over.
    #[must_use]
    pub fn take_log(&mut self) -> Log {
        self.log.hold(&mut self.pending);
        std::mem::take(&mut self.log)
    }

    /// Gives the file up: later records are kept in memory only.
    pub fn give_up_file(&mut self) {
        self.file = None;
    }

    /// Appends an event that is written at `at_us` on the run's clock. When this returns, the record is written to the file,
    /// and on the disk if it matters for safety or the verdict. A bin is written later, together with others; the returned
    /// number is that of the record that will contain it.
    ///
    /// # Errors
    /// It could not be written. No part of it stays in the file, so that the caller may try again.
    pub fn append(&mut self, at_us: i64, event: Event) -> Result<Record, LogError> {
        if let Event::Bin { vantage, start_us, bin } = &event {
            self.measured(at_us, vantage, *start_us, bin)?;
            return Ok(Record { v: Record::VERSION, seq: self.log.last_seq + 1, at_us, event });
        }
        if !waits_for_bins(&event) {
            self.flush(at_us)?;
        }
        let record = Record { v: Record::VERSION, seq: self.log.last_seq + 1, at_us, event };
        let place = self.line(&record)?;
        self.log.count(record.seq, at_us);
        self.log.push(record.clone(), place);
        if let Some(file) = self.file.as_ref().filter(|_| is_important(&record.event)) {
            file.sync_data().map_err(|source| LogError::Io {
                doing: "sync",
                path: self.path.clone(),
                source,
            })?;
        }
        Ok(record)
    }

    /// Adds a bin that began at `start_us` on the run's clock. It is written with others, some seconds later.
    ///
    /// # Errors
    /// The bins that were waiting could not be written.
    pub fn measured(&mut self, at_us: i64, vantage: &str, start_us: i64, bin: &Bin) -> Result<(), LogError> {
        let over = at_us.saturating_sub(self.since_us) >= WAIT_US || self.pending.bins >= MOST_WAITING;
        if over || self.pending.begins_anew(vantage, bin) {
            self.flush(at_us)?;
        }
        if self.pending.bins == 0 {
            self.since_us = at_us;
        }
        self.pending.push(&self.log.scales, vantage, start_us, bin);
        Ok(())
    }

    /// Writes the pending bins.
    ///
    /// # Errors
    /// They could not be written; they stay pending.
    pub fn flush(&mut self, at_us: i64) -> Result<(), LogError> {
        if self.pending.bins == 0 {
            return Ok(());
        }
        let seq = self.log.last_seq + 1;
        if self.file.is_none() {
            self.log.count(seq, at_us);
            self.log.hold(&mut self.pending);
            return Ok(());
        }
        let (from_us, until_us, bins) = (self.pending.from_us, self.pending.until_us, self.pending.bins);
        let data = BASE64_STANDARD.encode(encode(self.pending.streams()));
        let event = Event::Bins { from_us, until_us, bins, data };
        let place = self.line(&Record { v: Record::VERSION, seq, at_us, event })?;
        self.log.count(seq, at_us);
        self.log.block((from_us, until_us), bins, "", place);
        self.pending = Pending::default();
        Ok(())
    }

    /// Appends a line. Returns `None` if the file was given up.
    fn line(&mut self, record: &Record) -> Result<Option<Place>, LogError> {
        let Some(file) = &mut self.file else { return Ok(None) };
        let path = &self.path;
        let mut line =
            serde_json::to_vec(record).map_err(|source| LogError::Encode { path: path.clone(), source })?;
        line.push(b'\n');
        let io = |doing| move |source| LogError::Io { doing, path: path.clone(), source };
        if let Err(source) = file.write_all(&line) {
            // Half a line in the middle would damage all later records; the next append must start at a line's
            // beginning.
            file.set_len(self.whole).map_err(io("cut a half-written record off"))?;
            return Err(io("append to")(source));
        }
        let length = u64::try_from(line.len()).unwrap_or(0);
        self.lines += 1;
        let place = Place { line: self.lines, offset: self.whole, length };
        self.whole += length;
        Ok(Some(place))
    }

    /// Replaces the file, for tests with one that cannot be written.
    #[cfg(test)]
    pub(super) fn swap_file(&mut self, file: File) -> File {
        self.file.replace(file).expect("it had one")
    }

    /// Returns the file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The error cannot be reported on drop; pending bins are lost then, as in a crash.
        let _ = self.flush(self.log.last_us);
    }
}

/// Whether an event may come before bins that came earlier: nothing that is judged depends on their order.
const fn waits_for_bins(event: &Event) -> bool {
    use firedrill_wire::journal::What;
    match event {
        Event::Exchanged { .. } | Event::Note { .. } => true,
        Event::Agent { what, .. } => matches!(what.what, What::Looked { .. }),
        _ => false,
    }
}

/// Whether a program is writing this log and therefore holds its lock. Follows no link, and does not wait for the writer of a pipe.
#[must_use]
pub fn is_written(path: &Path) -> bool {
    regular::open(path).is_ok_and(|log| matches!(log.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Locks a log by `take`. While another program has it locked, waits until a moment at most.
fn lock_until(
    path: &Path,
    until: Instant,
    take: impl FnMut() -> Result<(), TryLockError>,
) -> Result<(), LogError> {
    lock::within(until, STEP, take).map_err(|error| match error {
        TryLockError::WouldBlock => LogError::Busy { path: path.to_owned() },
        TryLockError::Error(source) => LogError::Io { doing: "lock", path: path.to_owned(), source },
    })
}

/// Whether a record must be on the disk: its loss would be more than that of a measurement or a note.
fn is_important(event: &Event) -> bool {
    use firedrill_wire::journal::What;
    match event {
        Event::Bin { .. }
        | Event::Bins { .. }
        | Event::Exchanged { .. }
        | Event::Clock { .. }
        // Nothing was touched yet, and a large fleet has very many of these records; the next important one syncs
        // them too.
        | Event::Prepared { .. }
        | Event::Note { .. }
        | Event::Unknown { .. }
        | Event::LinkBack { .. } => false,
        Event::Agent { what, .. } => !matches!(what.what, What::Looked { .. }),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(text: &str) -> Event {
        Event::Note { text: text.to_owned() }
    }

    #[test]
    fn appended_records_are_read_back_in_order() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("events.jsonl");
        let mut writer = Writer::create(&path).expect("new");
        let first = writer.append(1, note("one")).expect("appends");
        let second = writer.append(2, note("two")).expect("appends");
        assert_eq!(read(&path).expect("reads").records, [first, second]);
        assert!(matches!(Writer::create(&path), Err(LogError::Io { .. })), "never overwrites");
        let began = Instant::now();
        assert!(matches!(Writer::resume(&path), Err(LogError::Busy { .. })), "one writer at a time");
        assert!(began.elapsed() >= PATIENCE, "it may be a reader's lock");
    }

    #[test]
    fn a_readers_short_lock_does_not_refuse_a_writer() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("events.jsonl");
        drop(Writer::create(&path).expect("new"));
        let (reader, writer) = (File::open(&path).expect("there"), File::open(&path).expect("there"));
        reader.lock_shared().expect("locks");
        let (mut reader, mut tries) = (Some(reader), 0);
        let locked = lock_until(&path, Instant::now() + Duration::from_secs(600), || {
            let taken = writer.try_lock();
            // The reader's lock lasts for a moment only.
            reader.take();
            tries += 1;
            taken
        });
        assert!(locked.is_ok() && tries == 2, "{locked:?} after {tries}");
        let other = File::open(&path).expect("there");
        let refused = lock_until(&path, Instant::now(), || other.try_lock());
        assert!(matches!(refused, Err(LogError::Busy { .. })), "{refused:?}");
    }

    #[test]
    fn a_log_is_written_while_its_writer_has_it_open() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("events.jsonl");
        assert!(!is_written(&path), "there is none");
        let writer = Writer::create(&path).expect("new");
        assert!(is_written(&path));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        assert!(!is_written(&link), "a link is not followed");
        drop(writer);
        assert!(!is_written(&path));
    }

    #[test]
    fn a_pipe_in_place_of_a_log_is_not_written_and_not_waited_for() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = tempfile::tempdir().expect("folder");
        let pipe = folder.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
        let (answer, answered) = std::sync::mpsc::channel();
        std::thread::spawn(move || answer.send(is_written(&pipe)));
        let answer = answered.recv_timeout(Duration::from_secs(30));
        assert_eq!(answer, Ok(false), "it waits for a program that writes into the pipe");
    }

    #[test]
    fn a_log_with_a_torn_end_goes_on_where_it_was_whole() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("events.jsonl");
        let mut writer = Writer::create(&path).expect("new");
        writer.append(1, note("one")).expect("appends");
        drop(writer);
        let mut bytes = std::fs::read(&path).expect("reads");
        bytes.extend_from_slice(b"{\"v\":1,\"seq\":2,");
        std::fs::write(&path, &bytes).expect("torn");
        let mut writer = Writer::resume(&path).expect("resumes");
        assert_eq!(writer.log().warnings.len(), 1);
        assert_eq!(writer.append(3, note("two")).expect("appends").seq, 2);
        let whole = read(&path).expect("reads");
        assert_eq!((whole.records.len(), whole.warnings.len()), (2, 0));
    }
}
