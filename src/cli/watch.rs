//! `firedrill watch`: follows a run by its log, on any machine that can read the file. Asks neither the run nor hosts.

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

/// Prints the records of the log until the run ends or its coordinator has died.
pub(super) fn run(args: &Args) -> Result<Exit> {
    /// The interval between two looks at the end of the file.
    const AGAIN: Duration = Duration::from_millis(200);
    let path = args.run.join("events.jsonl");
    let file = File::open(&path).wrap(format!("cannot follow {}", path.display()))?;
    let mut reader = BufReader::new(file);
    let mut screen = Plain::default();
    // Bytes and not a String, because half a line may end within a character.
    let mut line = Vec::new();
    // Whether the writer was gone at the last look. It counts as dead only at the second look: between the first read and the first look it may
    // have written its last records and ended.
    let mut gone = false;
    let mut ended = false;
    let mut notes = HashSet::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            // This is the end of the file, or half a line. Half a line is read again when the rest is there.
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
        // After the end of the run, `collect` may add records and another end.
        ended = matches!(record.event, Event::RunEnded { .. });
    }
}

/// Shows the notes that people added since the last look. `told` has all that were shown: a new note may be anywhere in the list, which is
/// sorted by the clocks of those who wrote.
fn tell_notes(folder: &Path, screen: &mut Plain, told: &mut HashSet<Note>) {
    // Errors of the file are shown by the report.
    let Ok(notes) = notes::read(folder) else { return };
    for note in notes.all {
        if !told.contains(&note) {
            screen.say(&format!("note by {}: {}", note.by, note.text));
            told.insert(note);
        }
    }
}

/// Whether no process holds the log's lock, which means that its writer has ended. The file is opened a second time, so that the lock that
/// this takes is released at once. Returns `false` on a system without such locks.
fn is_writerless(path: &Path) -> bool {
    File::open(path).and_then(|file| file.try_lock_shared().map_err(std::io::Error::from)).is_ok()
}
