//! Claims slots, and writes their records.

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

/// A slot was not claimed.
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

/// Writes the record of a slot that was claimed. While it exists, the slot counts as going on.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    /// The last write failed, so a line may be torn.
    torn: bool,
}

impl Writer {
    /// Claims a slot: of all who try at once, one succeeds. `slot` is its civil time, or the name of a start by hand.
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
        // The name is on the disk before anything is broken: after a power loss the slot is still claimed.
        let kept = file.lock().and_then(|()| File::open(&folder)?.sync_all());
        match kept {
            Ok(()) => Ok(Self { path, file, torn: false }),
            Err(source) => {
                // A claim that nobody holds would close the slot.
                let _gone = fs::remove_file(&path);
                Err(io(&path, source))
            }
        }
    }

    /// Claims a slot, also one that was missed: a person starts it late.
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
            // Somebody who holds it, or takes it over at the same time, has it locked.
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

    /// Writes an event, to the disk.
    ///
    /// # Errors
    /// It could not be written.
    pub fn write(&mut self, now: Timestamp, event: Event) -> io::Result<()> {
        let line = Line { v: VERSION, at: written(now), event };
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

/// Returns a time as records have it, to the millisecond.
pub(super) fn written(at: Timestamp) -> String {
    format!("{at:.3}")
}
