//! The audit files: one line of JSON per entry, in two series that are rotated and bounded. Refused requests have a series
//! of their own, so that they never displace accepted ones. Readers skip damaged lines.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use firedrill_wire::text::{Breaks, from_json};

use super::record::{Entry, Outcome};

/// Returns the directory of the files.
fn folder(state: &Path) -> PathBuf {
    state.join("audit")
}

/// A series of files.
#[derive(Clone, Copy, Debug)]
struct Series {
    name: &'static str,
    /// Maximum length of a file, in bytes.
    file_most: u64,
    /// Maximum number of older files.
    older: u32,
}

/// Accepted requests, and events: a few thousand runs, in 16 MiB.
const DONE: Series = Series { name: "done", file_most: 2 << 20, older: 7 };
/// Refused requests, in 4 MiB.
const REFUSED: Series = Series { name: "refused", file_most: 1 << 20, older: 3 };

impl Series {
    fn of(entry: &Entry) -> Self {
        match entry {
            Entry::Request(request) if request.outcome == Outcome::Refused => REFUSED,
            Entry::Request(_) | Entry::Event(_) => DONE,
        }
    }

    /// Returns the path of a file; 0 is the newest.
    fn file(self, folder: &Path, age: u32) -> PathBuf {
        folder.join(if age == 0 {
            format!("{}.jsonl", self.name)
        } else {
            format!("{}.{age}.jsonl", self.name)
        })
    }

    /// Makes room for a new file: renames each file to the next age, so that the oldest one is replaced.
    fn rotate(self, folder: &Path) -> io::Result<()> {
        for age in (0..self.older).rev() {
            match fs::rename(self.file(folder, age), self.file(folder, age + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Appends to the files.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    /// Whether the last append failed. Only the first of several failures is logged.
    failing: bool,
    /// Whether the files are known to end with a line break. The next line must not be appended to a line that was cut off.
    whole: bool,
}

impl Store {
    pub(super) fn new(state: &Path) -> Self {
        Self { folder: folder(state), failing: false, whole: false }
    }

    /// Appends an entry. An entry that cannot be written is lost; the first loss is logged.
    pub(super) fn append(&mut self, entry: &Entry) {
        match self.try_append(entry) {
            Ok(()) => self.failing = false,
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!("requests cannot be recorded in {}: {error}", self.folder.display());
                }
            }
        }
    }

    fn try_append(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let series = Series::of(entry);
        let path = series.file(&self.folder, 0);
        let length = fs::metadata(&path).map_or(0, |data| data.len());
        if length > 0 && length + line.len() as u64 > series.file_most {
            series.rotate(&self.folder)?;
        }
        if !self.whole {
            for series in [DONE, REFUSED] {
                end_line(&series.file(&self.folder, 0))?;
            }
            self.whole = true;
        }
        // One write per line, because other processes may append too. A failed write may have left half a line.
        open(&path, &self.folder)?.write_all(&line).inspect_err(|_| self.whole = false)
    }
}

/// Ends the last line of a file, if it was cut off.
fn end_line(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    let mut file = match OpenOptions::new().read(true).append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    if last == [b'\n'] { Ok(()) } else { file.write_all(b"\n") }
}

/// Opens a file to append to it. Makes the file and its directory if they do not exist.
fn open(path: &Path, folder: &Path) -> io::Result<File> {
    let open_file = || OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    match open_file() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            open_file()
        }
        opened => opened,
    }
}

/// Returns all entries in order of time.
///
/// # Errors
/// A file exists and cannot be read.
pub fn read(state: &Path) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    for series in [DONE, REFUSED] {
        for age in (0..=series.older).rev() {
            found.extend(entries(&series.file(&folder(state), age))?);
        }
    }
    // The sort is stable, so entries of the same microsecond stay in their order.
    found.sort_by_key(Entry::wall_us);
    Ok(found)
}

/// Returns the journal's number of the newest event that was copied into the files; 0 if there is none. Copying goes on
/// after it.
#[must_use]
pub fn last_copied_seq(state: &Path) -> u64 {
    (0..=DONE.older)
        .filter_map(|age| entries(&DONE.file(&folder(state), age)).ok())
        .find_map(|found| {
            found.into_iter().rev().find_map(|entry| match entry {
                Entry::Event(event) => Some(event.seq),
                Entry::Request(_) => None,
            })
        })
        .unwrap_or(0)
}

/// Reads the entries of one file, the oldest first; none if the file does not exist. Skips damaged lines.
fn entries(path: &Path) -> io::Result<Vec<Entry>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        bytes => bytes?,
    };
    Ok(bytes.split(|byte| *byte == b'\n').filter_map(|line| from_json(line, Breaks::None).ok()).collect())
}

#[cfg(test)]
mod tests {
    use firedrill_wire::RefusalCode;

    use super::*;
    use crate::audit::Request;

    #[test]
    fn files_are_bounded_and_refused_requests_displace_no_accepted_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::new(dir.path());
        let done = Request::accepted("alice", "arm").detail("the first");
        store.append(&Entry::Request(done.clone()));
        let long = "x ".repeat(250);
        for n in 0..16_000 {
            let mut refused =
                Request::accepted("mallory", "prepare").refused(&RefusalCode::NotAllowed, &long);
            refused.wall_us = done.wall_us + n;
            store.append(&Entry::Request(refused));
        }
        let files: Vec<_> = fs::read_dir(folder(dir.path())).unwrap().map(|entry| entry.unwrap()).collect();
        let bytes: u64 = files.iter().map(|entry| entry.metadata().unwrap().len()).sum();
        assert!(files.len() == 5 && bytes < 5 << 20, "{} files of {bytes} bytes", files.len());
        let entries = read(dir.path()).unwrap();
        assert_eq!(entries[0], Entry::Request(done));
        assert!(entries.windows(2).all(|pair| pair[0].wall_us() <= pair[1].wall_us()));
        let newest = entries.last().map(Entry::wall_us);
        assert_eq!(newest, Some(entries[0].wall_us() + 15_999));
    }

    #[test]
    fn damaged_lines_are_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::new(dir.path());
        let entry = Entry::Request(Request::accepted("alice", "undo"));
        store.append(&entry);
        let path = DONE.file(&folder(dir.path()), 0);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend(b"{\"request\":{\"wall_us\":1,\n\xff\xfe\n{\"request\":{\"who\":\"al");
        fs::write(&path, bytes).unwrap();
        Store::new(dir.path()).append(&entry);
        assert_eq!(read(dir.path()).unwrap(), [entry.clone(), entry]);
    }
}
