//! `firedrill watch`: follows a run from its log, on any machine that can read the file.

use std::{
    collections::HashSet,
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    time::Duration,
};

use firedrill_judge::notes::{self, Note};

use super::failure::{Result, Wrap as _};
use crate::{
    log::{Event, Record},
    run::screen::{Observer as _, Plain},
    verdict::Exit,
};

/// Options of `watch`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  firedrill watch reports/20261120-1402-friday-7f3a\n\nExit codes: 0 the run ended · 3 its coordinator has died and the log has no end"
)]
pub(super) struct Args {
    /// The run's folder
    run: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Exit> {
    const AGAIN: Duration = Duration::from_millis(200);
    let path = args.run.join("events.jsonl");
    let file = File::open(&path).wrap(format!("cannot follow {}", path.display()))?;
    let mut reader = BufReader::new(file);
    let mut screen = Plain::default();
    // Bytes, because half a line may end within a character.
    let mut line = Vec::new();
    // Whether the writer was gone at the last look too; otherwise the end may have just been written.
    let mut gone = false;
    let mut ended = false;
    let mut notes = HashSet::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            // The current end, or half a line, which is read again when there is more.
            reader.seek_relative(-i64::try_from(read).unwrap_or(0))?;
            tell_notes(&args.run, &mut screen, &mut notes);
            if read == 0 && ended {
                return Ok(Exit::Held);
            }
            if read == 0 && std::mem::replace(&mut gone, is_writerless(&path)) {
                errln!(
                    "its coordinator has died and the log has no end; `firedrill collect {}` heals the hosts, completes the log and writes the reports",
                    args.run.display()
                );
                return Ok(Exit::Unknown);
            }
            std::thread::sleep(AGAIN);
            continue;
        }
        // Records of newer versions that this one does not know are skipped.
        let Ok(record) = Record::of_line(&line) else { continue };
        screen.record(&record);
        // It is not the last record if hosts were asked again later (`collect`).
        ended = matches!(record.event, Event::RunEnded { .. });
    }
}

/// Shows the notes that people added since the last look. A note by a clock that is slow lies before those that are told already.
fn tell_notes(folder: &Path, screen: &mut Plain, told: &mut HashSet<Note>) {
    // What is wrong with the file is told by the report.
    let Ok(notes) = notes::read(folder) else { return };
    for note in notes.all {
        if !told.contains(&note) {
            screen.say(&format!("note by {}: {}", note.by, note.text));
            told.insert(note);
        }
    }
}

/// Whether no process holds the log's lock, so its writer has ended. The file is opened separately, so that the lock
/// is released at once. Returns `false` on a system without such locks.
fn is_writerless(path: &Path) -> bool {
    File::open(path).and_then(|file| file.try_lock_shared().map_err(std::io::Error::from)).is_ok()
}
