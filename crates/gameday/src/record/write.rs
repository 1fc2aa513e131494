//! Claims slots, and writes their records.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    FILE, folder,
    line::{Event, Line, VERSION},
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
}

impl Writer {
    /// Claims a slot: of all who try at once, one succeeds. `slot` is its civil time, or the name of a start by hand.
    ///
    /// # Errors
    /// It was claimed before, or its record cannot be made.
    pub fn claim(reports: &Path, gameday: &str, slot: &str) -> Result<Self, NotClaimed> {
        let folder = folder(reports, gameday, slot).map_err(|why| NotClaimed::Io {
            path: reports.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidInput, why),
        })?;
        fs::create_dir_all(&folder).map_err(|source| NotClaimed::Io { path: folder.clone(), source })?;
        let path = folder.join(FILE);
        let made = OpenOptions::new().append(true).create_new(true).open(&path).and_then(|file| {
            file.lock()?;
            // The name is on the disk before anything is broken: after a power loss the slot is still claimed.
            File::open(&folder)?.sync_all()?;
            Ok(file)
        });
        match made {
            Ok(file) => Ok(Self { path, file }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(NotClaimed::Taken),
            Err(source) => Err(NotClaimed::Io { path, source }),
        }
    }

    /// Writes an event, to the disk.
    ///
    /// # Errors
    /// It could not be written.
    pub fn write(&mut self, now: Timestamp, event: Event) -> io::Result<()> {
        let line = Line { v: VERSION, at: written(now), event };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        self.file.write_all(&text)?;
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
