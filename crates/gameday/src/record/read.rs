//! Reads records.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
};

use firedrill_files::text;

use super::{
    FILE, FOLDER, MOST_BYTES, folder,
    line::{Event, Line, VERSION},
};

/// The record of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The game day's name.
    pub gameday: String,
    /// The civil time of the slot, or the name of a start by hand.
    pub slot: String,
    /// Its lines. A line that cannot be read, or is of another version, is left out.
    pub lines: Vec<Line>,
    /// Its state.
    pub state: State,
}

/// The state of a slot that has a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// A program holds it.
    GoesOn,
    /// It was held, with this exit code.
    Ended(u8),
    /// It was not held, for this reason.
    NotHeld(String),
    /// Nobody started it at its time, for this reason.
    Missed(String),
    /// The program that held it died: the record has no end, and nobody writes it.
    Died,
}

impl Record {
    /// Returns the folders of its runs, in the order of their beginnings.
    pub fn runs(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(|line| match &line.event {
            Event::RunBegun { run, .. } => Some(run.as_str()),
            _ => None,
        })
    }

    /// Returns the time of its first line, RFC 3339 UTC; empty if it has none.
    #[must_use]
    pub fn at(&self) -> &str {
        self.lines.first().map_or("", |line| &line.at)
    }
}

/// Reads the record of a slot; `None` if it has none.
///
/// # Errors
/// It cannot be read, or the names are those of no slot.
pub fn of_slot(reports: &Path, gameday: &str, slot: &str) -> io::Result<Option<Record>> {
    let folder =
        folder(reports, gameday, slot).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
    read(&folder.join(FILE), gameday, slot)
}

/// Reads the newest records, at most `most`, the newest first. Records that cannot be read are left out.
///
/// # Errors
/// The folder of records is there and cannot be listed.
pub fn all(reports: &Path, most: usize) -> io::Result<Vec<Record>> {
    let mut found = Vec::new();
    for (gameday, folder) in names(&reports.join(FOLDER))? {
        for (slot, folder) in names(&folder)? {
            // The time of the file stands for that of its last event, so that only the newest are read.
            let Ok(about) = fs::symlink_metadata(folder.join(FILE)) else { continue };
            let changed = about.modified()?;
            found.push((changed, gameday.clone(), slot, folder));
        }
    }
    found.sort_by(|one, other| other.cmp(one));
    let read = found
        .into_iter()
        .filter_map(|(_, gameday, slot, folder)| read(&folder.join(FILE), &gameday, &slot).ok().flatten());
    Ok(read.take(most).collect())
}

/// Lists the folders in a folder, with their names. There are none if it does not exist.
fn names(folder: &Path) -> io::Result<Vec<(String, std::path::PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let folders = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        entry.file_type().is_ok_and(|kind| kind.is_dir()).then(|| (name, entry.path()))
    });
    Ok(folders.collect())
}

fn read(path: &Path, gameday: &str, slot: &str) -> io::Result<Option<Record>> {
    // Asked before the text is read: a writer that ends in between has written its end.
    let is_locked = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => matches!(file?.try_lock_shared(), Err(TryLockError::WouldBlock)),
    };
    let text = text::read(path, MOST_BYTES).map_err(io::Error::other)?.text;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let lines: Vec<Line> = lines.filter(|line| line.v == VERSION).collect();
    let end = lines.iter().rev().find_map(|line| match &line.event {
        Event::Ended { exit, .. } => Some(State::Ended(*exit)),
        Event::NotHeld { why } => Some(State::NotHeld(why.clone())),
        Event::Missed { why } => Some(State::Missed(why.clone())),
        _ => None,
    });
    let state = end.unwrap_or(if is_locked { State::GoesOn } else { State::Died });
    Ok(Some(Record { gameday: gameday.to_owned(), slot: slot.to_owned(), lines, state }))
}
