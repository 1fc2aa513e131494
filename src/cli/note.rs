//! `firedrill note`: adds a person's note to a run that goes on or has ended, or shows the notes. Needs no host.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use firedrill_history::address;
use firedrill_judge::notes::{self, FILE, Note, TEXT_MOST, Unfit};

use super::{
    failure::{Failure, Result, Wrap as _},
    login::named,
    output::{print_json, table},
    room_client::{RoomArgs, RoomClient},
    runs::{ReportsArgs, log_of},
};
use crate::verdict::Exit;

/// Options of `note`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill note reports/20261120-1402-friday-7f3a 'the pager rang at the second phone'
  firedrill note 20261120-1402-friday-7f3a --by bob 'traffic moved to region b by hand'
  firedrill note 20261120-1402-friday-7f3a --server https://drills.example 'traffic is back'
  tail -n 3 chat.txt | firedrill note 20261120-1402-friday-7f3a -
  firedrill note 20261120-1402-friday-7f3a              shows the notes

A note gets the time at which it is written. Reports show it on the run's clock; they are written at the run's end, and by
`firedrill report RUN`. It is kept in notes.jsonl in the run's folder, and decides nothing.")]
pub(super) struct Args {
    /// The run: its folder, its events.jsonl, or its id
    run: PathBuf,
    /// The note; `-` reads it from standard input. Without it, the notes are shown
    text: Option<String>,
    /// The author of the note [default: the login name]
    #[arg(long, value_name = "WHO")]
    by: Option<String>,
    #[command(flatten)]
    room: RoomArgs,
    #[command(flatten)]
    reports: ReportsArgs,
    /// For machines: the notes as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// Adds the note, or shows the notes.
pub(super) fn run(args: &Args) -> Result<Exit> {
    if let Some(server) = &args.room.server {
        return add_on_server(args, server);
    }
    let log = log_of(&args.run, &args.reports.reports)?;
    let folder = log.parent().unwrap_or(Path::new("."));
    if let Some(text) = &args.text {
        let note = Note::new(SystemTime::now(), &named(args.by.as_deref())?, &written(text)?);
        notes::add(folder, &note).wrap(format!("cannot write {}", folder.join(FILE).display()))?;
        if !args.json {
            outln!("{} {}: {}", note.at, note.by, note.text);
            return Ok(Exit::Held);
        }
    }
    show(folder, args.json)
}

/// Asks a control room to write the note. The note's author is the name of the token.
fn add_on_server(args: &Args, server: &str) -> Result<Exit> {
    let Some(text) = &args.text else {
        return Err(Failure::new("with --server a note is written, so it needs a text")
            .help("the notes of a run are on its page"));
    };
    if args.by.is_some() {
        return Err(Failure::new("--by does not go with --server: the author is the token"));
    }
    let room = RoomClient::of(server, &args.room)?;
    let path = format!("/api/v1/runs/{}/notes", address(&args.run.display().to_string()));
    let done: serde_json::Map<String, serde_json::Value> =
        room.tell(&path, &serde_json::json!({ "text": written(text)? }))?;
    if args.json {
        print_json(&done)?;
    } else {
        outln!("the note is written");
    }
    Ok(Exit::Held)
}

/// Returns the text of the note on one line; reads standard input for `-`.
fn written(text: &str) -> Result<String> {
    let mut read = String::new();
    let text = if text == "-" {
        // A character is four bytes at most. One byte more is read, so that a longer text is seen and refused below.
        let most = 4 * TEXT_MOST as u64 + 1;
        std::io::stdin()
            .lock()
            .take(most)
            .read_to_string(&mut read)
            .wrap("cannot read the note from standard input")?;
        &read
    } else {
        text
    };
    notes::line_of(text).map_err(|unfit| {
        Failure::from(unfit).help(match unfit {
            Unfit::Empty => "without a text, `firedrill note RUN` shows the notes",
            Unfit::Long => "write several, or put a link into one",
        })
    })
}

/// Prints the notes in a run's folder.
fn show(folder: &Path, json: bool) -> Result<Exit> {
    let notes = notes::read(folder).wrap(format!("cannot read {}", folder.join(FILE).display()))?;
    if notes.damaged > 0 {
        errln!("warning: {} lines of {} are no notes", notes.damaged, folder.join(FILE).display());
    }
    if json {
        print_json(&serde_json::json!({ "schema": 1, "notes": notes.all }))?;
    } else if notes.all.is_empty() {
        outln!("nobody has written a note about {}", folder.display());
    } else {
        let mut rows = vec![["time", "by", "note"].map(str::to_owned).to_vec()];
        rows.extend(notes.all.into_iter().map(|note| vec![note.at, note.by, note.text]));
        outln!("{}", table(rows));
    }
    Ok(Exit::Held)
}
