//! Notes of people about a run, written while it goes on or afterwards: `notes.jsonl` beside its log. Notes are shown and never judged.
//!
//! A note is no proof of its author: every program that can write to the folder can write a note under any name.

use std::{
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use firedrill_files::regular;
use firedrill_wire::text::{self, Breaks};
use serde::{Deserialize, Serialize};

/// The file's name in a run's folder.
pub const FILE: &str = "notes.jsonl";
/// Maximum length of a note, in characters.
pub const TEXT_MOST: usize = 2_000;
/// Maximum size of the file, in bytes.
const FILE_MOST: u64 = 16 << 20;

/// A note.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Note {
    /// The time at which it was written, RFC 3339 UTC, by the writer's clock.
    pub at: String,
    /// The author, by the name that they give.
    pub by: String,
    /// The text, in one line.
    pub text: String,
    /// The id of the finding that the text is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
}

impl Note {
    /// Creates a note that is written at `now`.
    #[must_use]
    pub fn new(now: SystemTime, by: &str, text: &str) -> Self {
        let at = humantime::format_rfc3339_millis(now.max(UNIX_EPOCH)).to_string();
        Self { at, by: by.to_owned(), text: text.to_owned(), finding: None }
    }

    /// The same note about a finding of that id.
    #[must_use]
    pub fn of_finding(self, id: &str) -> Self {
        Self { finding: Some(id.to_owned()), ..self }
    }

    /// Returns the text for people, which tells a finding from a note.
    #[must_use]
    pub fn told(&self) -> String {
        match &self.finding {
            Some(id) => format!("finding {id}: {}", self.text),
            None => self.text.clone(),
        }
    }

    /// Returns its time on the clock of a run that started at `wall`, in microseconds; `None` if one of the two is no time. A run's start is
    /// known to the second.
    #[must_use]
    pub fn at_us(&self, wall: &str) -> Option<i64> {
        let us = |text: &str| {
            let at = humantime::parse_rfc3339(text).ok()?;
            i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_micros()).ok()
        };
        us(&self.at)?.checked_sub(us(wall)?)
    }
}

/// The reason why a text cannot be a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The text is empty.
    #[error("the note is empty")]
    Empty,
    /// The text is too long.
    #[error("the note is longer than {TEXT_MOST} characters")]
    Long,
}

/// Returns the text of a note as it is kept: in one line, without characters that could hide or forge other text.
///
/// # Errors
/// It is empty or too long.
pub fn line_of(written: &str) -> Result<String, Unfit> {
    let line = text::joined(written);
    match line.chars().count() {
        0 => Err(Unfit::Empty),
        length if length > TEXT_MOST => Err(Unfit::Long),
        _ => Ok(text::clean(&line, TEXT_MOST).into_owned()),
    }
}

/// The notes of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Sorted by the text of `at`, which is the order of time for notes of [`Note::new`].
    pub all: Vec<Note>,
    /// Number of lines that are no notes.
    pub damaged: usize,
}

/// Reads the notes in a run's folder. Without a file there are none.
///
/// # Errors
/// The file cannot be read, or is too large to be one of notes.
pub fn read(folder: &Path) -> io::Result<Notes> {
    let file = match regular::open(&folder.join(FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Notes::default()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(FILE_MOST + 1).read_to_end(&mut bytes)?;
    check_size(bytes.len() as u64)?;
    let mut notes = Notes::default();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        // Other programs can write into the folder, too, so each text is cleaned.
        match text::from_json::<Note>(line, Breaks::None) {
            Ok(note) => notes.all.push(note),
            Err(_) => notes.damaged += 1,
        }
    }
    notes.all.sort_by(|one, other| one.at.cmp(&other.at));
    Ok(notes)
}

/// Adds a note to those in a run's folder. Several programs can do so at the same time. The note is synced when this returns.
///
/// # Errors
/// The file cannot be written, or is full.
pub fn add(folder: &Path, note: &Note) -> io::Result<()> {
    let mut file = regular::append(&folder.join(FILE))?;
    file.lock()?;
    let size = file.metadata()?.len();
    let mut line = serde_json::to_vec(note)?;
    line.push(b'\n');
    // A writer may have died in the middle of its line; then this note begins a new one.
    if size > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            line.insert(0, b'\n');
        }
    }
    check_size(size + line.len() as u64)?;
    file.write_all(&line)?;
    file.sync_all()
}

/// Refuses a size that a file of notes cannot have.
fn check_size(bytes: u64) -> io::Result<()> {
    if bytes <= FILE_MOST {
        return Ok(());
    }
    Err(io::Error::other(format!("{FILE} may not be larger than {} MiB", FILE_MOST >> 20)))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File, OpenOptions},
        time::Duration,
    };

    use super::*;

    fn note(second: u64, text: &str) -> Note {
        Note::new(UNIX_EPOCH + Duration::from_secs(1_790_000_000 + second), "alice", text)
    }

    #[test]
    fn notes_are_read_in_the_order_of_time_and_half_a_line_spoils_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(read(folder.path()).expect("no file is no mistake"), Notes::default());
        add(folder.path(), &note(7, "later")).expect("a note");
        let file = folder.path().join(FILE);
        let mut torn = fs::read(&file).expect("the file");
        torn.extend(b"{\"at\":\"2026");
        fs::write(&file, torn).expect("half a line");
        add(folder.path(), &note(3, "earlier")).expect("a note");
        let notes = read(folder.path()).expect("notes");
        assert_eq!(notes, Notes { all: vec![note(3, "earlier"), note(7, "later")], damaged: 1 });
    }

    #[test]
    fn a_note_is_one_line_of_some_length() {
        assert_eq!(line_of(" the pager\r\nrang "), Ok("the pager rang".to_owned()));
        assert!(!line_of("a\u{202e}b\u{1b}c").expect("a note").contains(['\u{202e}', '\u{1b}']));
        assert_eq!(line_of(" \n "), Err(Unfit::Empty));
        assert!(line_of(&"ü".repeat(TEXT_MOST)).is_ok());
        assert_eq!(line_of(&"ü".repeat(TEXT_MOST + 1)), Err(Unfit::Long));
    }

    #[test]
    fn no_note_is_lost_when_many_are_added_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let folder = folder.path();
                scope.spawn(move || {
                    for number in 0..20 {
                        add(folder, &note(writer * 20 + number, "busy")).expect("a note");
                    }
                });
            }
        });
        let notes = read(folder.path()).expect("notes");
        assert_eq!((notes.all.len(), notes.damaged), (160, 0));
    }

    /// `/proc/locks` has a line with `->` for a writer that waits for a lock; so the test knows that it waits.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_note_waits_until_another_one_is_written_whole() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        add(folder.path(), &note(1, "first")).expect("a note");
        let path = folder.path().join(FILE);
        let mut other = OpenOptions::new().append(true).open(&path).expect("the file");
        other.lock().expect("a lock");
        // A line of /proc/locks has the file as MAJOR:MINOR:INODE and a blank.
        let inode = format!(":{} ", other.metadata().expect("the file").ino());
        let locks = || fs::read_to_string("/proc/locks").unwrap_or_default();
        if !locks().contains(&inode) {
            eprintln!("skipped: /proc/locks does not show the locks of this process");
            return;
        }
        let mut line = serde_json::to_vec(&note(2, "second")).expect("a line");
        line.push(b'\n');
        let (begun, rest) = line.split_at(line.len() / 2);
        other.write_all(begun).expect("half a line");
        std::thread::scope(|scope| {
            let third = scope.spawn(|| add(folder.path(), &note(3, "third")));
            while !locks().lines().any(|lock| lock.contains("->") && lock.contains(&inode)) {
                assert!(!third.is_finished(), "it was written into the line of another one");
                std::thread::yield_now();
            }
            other.write_all(rest).expect("the rest of the line");
            drop(other);
            third.join().expect("no panic").expect("a note");
        });
        let texts = ["first", "second", "third"].iter().zip(1..).map(|(text, second)| note(second, text));
        let notes = read(folder.path()).expect("notes");
        assert_eq!(notes, Notes { all: texts.collect(), damaged: 0 });
    }

    #[test]
    fn texts_are_cleaned_and_times_are_put_on_the_runs_clock() {
        let folder = tempfile::tempdir().expect("a folder");
        let nasty =
            "{\"at\":\"2026-11-26T10:00:05.500Z\",\"by\":\"\\u001b[31mmallory\",\"text\":\"a\\nb\\u202e\"}\n";
        fs::write(folder.path().join(FILE), nasty).expect("a file");
        let notes = read(folder.path()).expect("notes");
        let one = &notes.all[0];
        assert!(one.by.starts_with('␛') && one.text.starts_with("a b"), "{one:?}");
        assert!(!one.text.contains('\u{202e}'));
        assert_eq!(one.at_us("2026-11-26T10:00:00Z"), Some(5_500_000));
        assert_eq!(one.at_us("2026-11-26T10:00:06Z"), Some(-500_000), "before the run");
        assert_eq!(one.at_us("soon"), None);
    }

    #[test]
    fn a_note_after_half_a_line_does_not_fill_the_file_beyond_its_size() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        let line = serde_json::to_vec(&note(1, "x")).expect("a line").len() as u64 + 1;
        File::create(&path).expect("a file").set_len(FILE_MOST - line).expect("a hole");
        add(folder.path(), &note(1, "x")).expect_err("a line and the end of the one before");
        assert!(read(folder.path()).is_ok());
    }

    #[test]
    fn a_file_of_something_else_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        let file = File::create(&path).expect("a file");
        file.set_len(FILE_MOST + 1).expect("a hole");
        for error in [
            read(folder.path()).expect_err("too large"),
            add(folder.path(), &note(1, "x")).expect_err("full"),
        ] {
            assert!(error.to_string().contains("may not be larger than 16 MiB"), "{error}");
        }
        fs::remove_file(&path).expect("removed");
        std::os::unix::fs::symlink(folder.path().join("other"), &path).expect("a link");
        assert!(
            add(folder.path(), &note(1, "x")).is_err() && read(folder.path()).is_err(),
            "no link is followed"
        );
        assert!(!folder.path().join("other").exists());
    }
}
