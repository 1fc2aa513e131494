//! Claims slots, and writes their records. Never decides whether a slot may be held.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use firedrill_files::regular;
use jiff::Timestamp;

use super::{
    FILE, MOST_BYTES, folder,
    line::{Event, Line, VERSION},
    read::{State, end, lines},
};

/// The reason why a slot was not claimed.
#[derive(Debug)]
pub enum NotClaimed {
    /// It has a record already.
    Taken,
    /// Its record could not be made.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// Writes the record of a claimed slot, and keeps it locked. While the writer exists, the slot goes on.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    /// Whether the last write failed, so that the file may end with an unfinished line.
    torn: bool,
}

impl Writer {
    /// Claims a slot. If several programs try at once, exactly one succeeds. `slot` is its civil time, or the name of a start by hand.
    ///
    /// # Errors
    /// It was claimed before, or its record cannot be made.
    pub fn claim(reports: &Path, gameday: &str, slot: &str) -> Result<Self, NotClaimed> {
        let io = |path: &Path, source| NotClaimed::Io { path: path.to_owned(), source };
        let folder = folder(reports, gameday, slot).map_err(|error| io(reports, error))?;
        fs::create_dir_all(&folder).map_err(|source| io(&folder, source))?;
        let path = folder.join(FILE);
        let file = match OpenOptions::new().append(true).create_new(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(NotClaimed::Taken),
            Err(source) => return Err(io(&path, source)),
        };
        // The file's name is synced to the disk here, before any fault is made: after a power loss the slot is still claimed.
        let kept = file.lock().and_then(|()| File::open(&folder)?.sync_all());
        match kept {
            Ok(()) => Ok(Self { path, file, torn: false }),
            Err(source) => {
                // Without a holder the file would block the slot for ever, so it is removed.
                let _gone = fs::remove_file(&path);
                Err(io(&path, source))
            }
        }
    }

    /// Claims a slot for a person who may start it late: a slot that was missed can be claimed, too.
    ///
    /// # Errors
    /// As [`Self::claim`].
    pub fn claim_late(reports: &Path, gameday: &str, slot: &str) -> Result<Self, NotClaimed> {
        match Self::claim(reports, gameday, slot) {
            Err(NotClaimed::Taken) => {}
            claimed => return claimed,
        }
        let path = folder(reports, gameday, slot)
            .map_err(|source| NotClaimed::Io { path: reports.to_owned(), source })?;
        let path = path.join(FILE);
        let missed = regular::append(&path).and_then(|file| {
            // The lock fails if another program holds the slot, or claims it at the same time.
            file.try_lock().map_err(io::Error::other)?;
            let mut text = String::new();
            (&file).take(MOST_BYTES).read_to_string(&mut text)?;
            Ok(matches!(end(&lines(&text).0), Some(State::Missed(_))).then_some(file))
        });
        match missed {
            Ok(Some(file)) => Ok(Self { path, file, torn: false }),
            Ok(None) | Err(_) => Err(NotClaimed::Taken),
        }
    }

    /// Writes an event. It is on the disk when this returns.
    ///
    /// # Errors
    /// It could not be written.
    pub fn write(&mut self, now: Timestamp, event: Event) -> io::Result<()> {
        let line = Line { v: VERSION, at: written(now), event };
        // After a failed write, a line break first ends the unfinished line.
        let mut text = if self.torn { b"\n".to_vec() } else { Vec::new() };
        serde_json::to_writer(&mut text, &line)?;
        text.push(b'\n');
        self.torn = true;
        self.file.write_all(&text)?;
        self.torn = false;
        self.file.sync_data()
    }

    /// Returns the record's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Formats a time for records: RFC 3339 UTC, to the millisecond.
pub(super) fn written(at: Timestamp) -> String {
    format!("{at:.3}")
}
