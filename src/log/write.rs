//! Appends to `events.jsonl`. One process writes a log at a time; no record is ever changed.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::Write as _,
    path::{Path, PathBuf},
};

use super::{Event, Log, LogError, Record, read};

/// Appends records to one log, which it holds locked.
#[derive(Debug)]
pub struct Writer {
    file: File,
    path: PathBuf,
    last_seq: u64,
    /// Length of what is whole, in bytes.
    whole: u64,
}

impl Writer {
    /// Begins a new log.
    ///
    /// # Errors
    /// The file exists already or cannot be made.
    pub fn create(path: &Path) -> Result<Self, LogError> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path)
            .map_err(|source| LogError::Io { doing: "create", path: path.to_owned(), source })?;
        lock(&file, path)?;
        Ok(Self { file, path: path.to_owned(), last_seq: 0, whole: 0 })
    }

    /// Goes on with a log whose writer died. A torn last line, which never was a record, is cut off.
    ///
    /// # Errors
    /// The log cannot be read or is damaged, or another process writes it.
    pub fn resume(path: &Path) -> Result<(Self, Log), LogError> {
        let io = |doing| move |source| LogError::Io { doing, path: path.to_owned(), source };
        let mut file = OpenOptions::new().append(true).open(path).map_err(io("open"))?;
        lock(&file, path)?;
        let log = read(path)?;
        file.set_len(log.whole_bytes).map_err(io("cut the torn last line off"))?;
        let bytes = std::fs::read(path).map_err(io("read"))?;
        let mut whole = log.whole_bytes;
        if bytes.last().is_some_and(|byte| *byte != b'\n') {
            file.write_all(b"\n").map_err(io("append to"))?;
            whole += 1;
        }
        let last_seq = log.records.last().map_or(0, |record| record.seq);
        Ok((Self { file, path: path.to_owned(), last_seq, whole }, log))
    }

    /// Appends one event that is written at `at_us` on the run's clock; on return the system has it, and of the
    /// events that matter for safety or the verdict, the disk too.
    ///
    /// # Errors
    /// It could not be written. Nothing of it stays in the file, so that the caller may try again.
    pub fn append(&mut self, at_us: i64, event: Event) -> Result<Record, LogError> {
        let record = Record { v: Record::VERSION, seq: self.last_seq + 1, at_us, event };
        let mut line = serde_json::to_vec(&record)
            .map_err(|source| LogError::Encode { path: self.path.clone(), source })?;
        line.push(b'\n');
        let path = &self.path;
        let io = |doing| move |source| LogError::Io { doing, path: path.clone(), source };
        if let Err(source) = self.file.write_all(&line) {
            // Half a line in the middle would damage all that follows; the next append must start clean.
            self.file.set_len(self.whole).map_err(io("cut a half-written record off"))?;
            return Err(io("append to")(source));
        }
        self.whole += u64::try_from(line.len()).unwrap_or(0);
        self.last_seq = record.seq;
        if is_important(&record.event) {
            self.file.sync_data().map_err(io("sync"))?;
        }
        Ok(record)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn lock(file: &File, path: &Path) -> Result<(), LogError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => LogError::Busy { path: path.to_owned() },
        TryLockError::Error(source) => LogError::Io { doing: "lock", path: path.to_owned(), source },
    })
}

/// Whether losing the record would lose more than a sample or a remark.
fn is_important(event: &Event) -> bool {
    use firedrill_wire::journal::What;
    match event {
        Event::Bin { .. }
        | Event::Exchanged { .. }
        | Event::Clock { .. }
        // Nothing was touched yet, and a large fleet gives very many; the next record that matters brings them to the disk.
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
    fn what_was_appended_is_read_back_in_order() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("events.jsonl");
        let mut writer = Writer::create(&path).expect("new");
        let first = writer.append(1, note("one")).expect("appends");
        let second = writer.append(2, note("two")).expect("appends");
        assert_eq!(read(&path).expect("reads").records, [first, second]);
        assert!(matches!(Writer::create(&path), Err(LogError::Io { .. })), "never overwrites");
        assert!(matches!(Writer::resume(&path), Err(LogError::Busy { .. })), "one writer at a time");
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
        let (mut writer, log) = Writer::resume(&path).expect("resumes");
        assert_eq!(log.warnings.len(), 1);
        assert_eq!(writer.append(3, note("two")).expect("appends").seq, 2);
        let whole = read(&path).expect("reads");
        assert_eq!((whole.records.len(), whole.warnings.len()), (2, 0));
    }
}
