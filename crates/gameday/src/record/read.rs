//! Reads records of slots, and decides the state of each slot. Never writes.

use std::{
    fs::{self, TryLockError},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use firedrill_files::regular;
use firedrill_wire::text::{TEXT_MOST, clean};
use jiff::Timestamp;

use super::{
    FILE, FOLDER, MOST_BYTES, folder,
    line::{Event, Firing, Line, Reason, VERSION},
};
use crate::budget::Beginning;

/// The record of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The game day's name.
    pub gameday: String,
    /// The civil time of the slot, or the name of a start by hand.
    pub slot: String,
    /// Its lines.
    pub lines: Vec<Line>,
    /// Number of lines that were left out, because they are unfinished or have another version.
    pub left_out: usize,
    /// Its state.
    pub state: State,
}

/// The state of a slot that has a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// A program holds the slot, or is about to.
    GoesOn,
    /// It was held, with this exit code.
    Ended(u8),
    /// It was not held, for this reason.
    NotHeld(String),
    /// It was not started at its time, for this reason.
    Missed(String),
    /// The record has no end, and no program writes it.
    Died,
    /// The record cannot be read, for this reason.
    Unreadable(String),
}

impl Record {
    /// Returns the folders of its runs, in the order of their beginnings.
    pub fn runs(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(|line| match &line.event {
            Event::RunBegun { run, .. } => Some(run.as_str()),
            _ => None,
        })
    }

    /// Returns the time at which a program began to hold it, RFC 3339 UTC; `None` if none did.
    #[must_use]
    pub fn begun(&self) -> Option<&str> {
        let mut begun = self.lines.iter().filter(|line| matches!(line.event, Event::Begun { .. }));
        begun.next().map(|line| line.at.as_str())
    }

    /// Whether the slot certainly touched nothing: no program began to hold it. A program writes its beginning into the record before its first run.
    #[must_use]
    pub fn touched_nothing(&self) -> bool {
        self.left_out == 0 && self.begun().is_none() && !matches!(self.state, State::Unreadable(_))
    }

    /// Returns its exit code, if it has ended.
    #[must_use]
    pub const fn exit(&self) -> Option<u8> {
        match self.state {
            State::Ended(exit) => Some(exit),
            _ => None,
        }
    }

    /// Returns the reason for its state, if the state has one.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        match &self.state {
            State::NotHeld(why) | State::Missed(why) | State::Unreadable(why) => Some(why),
            State::GoesOn | State::Ended(_) | State::Died => None,
        }
    }

    /// Returns the kind of the reason why it was not held; `None` in any other state.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        let State::NotHeld(_) = self.state else { return None };
        self.lines.iter().rev().find_map(|line| match line.event {
            Event::NotHeld { reason, .. } => Some(reason),
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
/// The names cannot be those of a slot.
pub fn of_slot(reports: &Path, gameday: &str, slot: &str) -> io::Result<Option<Record>> {
    Ok(read(&folder(reports, gameday, slot)?.join(FILE), gameday, slot))
}

/// Reads the newest records of all game days, at most `most`, the newest first.
///
/// # Errors
/// The folder of records exists and cannot be listed.
pub fn all(reports: &Path, most: usize) -> io::Result<Vec<Record>> {
    let mut found = Vec::new();
    for (gameday, gameday_folder) in folders_in(&reports.join(FOLDER))? {
        // If one game day's folder cannot be listed, the records of the others are still returned.
        for (slot, slot_folder) in folders_in(&gameday_folder).unwrap_or_default() {
            let is_name = folder(reports, &gameday, &slot).is_ok();
            // Records are sorted by the modification time of their files, which is about that of their last event. So only the newest have to be
            // read.
            let about = fs::symlink_metadata(slot_folder.join(FILE)).ok();
            if let Some(changed) = about.filter(|_| is_name).and_then(|about| about.modified().ok()) {
                found.push((changed, gameday.clone(), slot, slot_folder));
            }
        }
    }
    found.sort_by(|left, right| right.cmp(left));
    let read = found
        .into_iter()
        .filter_map(|(_, gameday, slot, slot_folder)| read(&slot_folder.join(FILE), &gameday, &slot));
    Ok(read.take(most).collect())
}

/// Returns the drills of a game day that began. Drills that may have begun are returned, too: those that a program is about to begin, and those with an
/// unclear record. The start with the name `but` is left out. Reads all records of the game day.
///
/// # Errors
/// The records cannot be listed.
pub fn beginnings(reports: &Path, gameday: &str, but: &str, now: Timestamp) -> io::Result<Vec<Beginning>> {
    let mut drills = Vec::new();
    for (slot, slot_folder) in folders_in(&reports.join(FOLDER).join(gameday))? {
        // Other programs may make folders here; a folder whose name cannot be that of a slot or start is ignored.
        if slot == but || folder(reports, gameday, &slot).is_err() {
            continue;
        }
        let path = slot_folder.join(FILE);
        let Some(record) = read(&path, gameday, &slot) else { continue };
        let at = match record.begun().map(str::parse) {
            Some(Ok(at)) => at,
            // It is about to begin. The time of the file may be older, because a slot that was missed has a record already.
            _ if record.state == State::GoesOn => now,
            None if record.touched_nothing() => continue,
            // The time of the beginning is not known. The file's modification time is used in its place.
            Some(Err(_)) | None => {
                let changed = fs::symlink_metadata(&path).and_then(|about| about.modified());
                changed.ok().and_then(|at| Timestamp::try_from(at).ok()).unwrap_or(now)
            }
        };
        drills.push(Beginning { slot, at });
    }
    Ok(drills)
}

/// Lists the folders in a folder, each with its name and path. A folder that does not exist has none.
fn folders_in(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
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

/// Reads the record in a file; `None` if there is no such file.
fn read(path: &Path, gameday: &str, slot: &str) -> Option<Record> {
    let (gameday, slot) = (gameday.to_owned(), slot.to_owned());
    match content(path) {
        Ok((text, is_locked)) => {
            let (lines, left_out) = lines(&text);
            let state = match end(&lines) {
                // A program has claimed the slot and has not written its beginning yet. It may be a late start of a slot that was missed.
                Some(State::Missed(_)) | None if is_locked => State::GoesOn,
                Some(end) => end,
                None => State::Died,
            };
            Some(Record { gameday, slot, lines, left_out, state })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            let state = State::Unreadable(error.to_string());
            Some(Record { gameday, slot, lines: Vec::new(), left_out: 0, state })
        }
    }
}

/// Returns the text of a record, and whether a program writes it.
fn content(path: &Path) -> io::Result<(String, bool)> {
    let file = regular::open(path)?;
    // The lock is checked before the text is read: so a writer that ends in between has written its end into the text.
    let is_locked = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    let mut bytes = Vec::new();
    (&file).take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::other(format!("it has more than {MOST_BYTES} bytes")));
    }
    Ok((String::from_utf8_lossy(&bytes).into_owned(), is_locked))
}

/// Returns the lines of a record, and the number of those that were left out.
pub(super) fn lines(text: &str) -> (Vec<Line>, usize) {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let read: Vec<Option<Line>> = lines
        .map(|line| serde_json::from_str::<Line>(line).ok().filter(|line| line.v == VERSION).map(cleaned))
        .collect();
    let left_out = read.iter().filter(|line| line.is_none()).count();
    (read.into_iter().flatten().collect(), left_out)
}

/// Returns the state that the last end in the lines describes; `None` if there is no end, or a program began after it.
pub(super) fn end(lines: &[Line]) -> Option<State> {
    lines.iter().fold(None, |end, line| match &line.event {
        Event::Begun { .. } => None,
        Event::Ended { exit, .. } => Some(State::Ended(*exit)),
        Event::NotHeld { why, .. } => Some(State::NotHeld(why.clone())),
        Event::Missed { why } => Some(State::Missed(why.clone())),
        Event::RunBegun { .. } | Event::ScenarioEnded { .. } => end,
    })
}

/// Cleans the texts of a line for terminals and pages: any program that can write into the directory may have written them.
fn cleaned(mut line: Line) -> Line {
    let clean = |text: &mut String| *text = clean(text, TEXT_MOST).into_owned();
    clean(&mut line.at);
    match &mut line.event {
        Event::Begun { by, file, agreed, unasked, drawn } => {
            let attacks = drawn.iter_mut().flat_map(|drawn| &mut drawn.attacks);
            [by, file].into_iter().chain(agreed).chain(unasked).chain(attacks).for_each(clean);
        }
        Event::RunBegun { name, run, .. } => [name, run].into_iter().for_each(clean),
        Event::ScenarioEnded { why, .. } | Event::Ended { why, .. } => why.iter_mut().for_each(clean),
        Event::NotHeld { why, firing, .. } => {
            clean(why);
            for Firing { source, alert, since, hushed } in firing {
                [source, alert].into_iter().chain(since).chain(hushed).for_each(clean);
            }
        }
        Event::Missed { why } => clean(why),
    }
    line
}
