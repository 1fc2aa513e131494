//! `firedrill gameday`: shows when game days are due, who takes part and what they do; holds a game day, skips a slot, agrees to a start.

mod agree;
mod draw;
pub(super) mod held;
mod hold;
mod incident;
pub(super) mod list;
mod now;
mod promotion;
mod ready;
mod remote;
pub(super) mod show;
mod standing;
mod start;
mod there;
mod which;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use firedrill_gameday::ics;
use jiff::Timestamp;

use super::{
    calendar::{FOLDER, events, found},
    days::{self, Day},
    failure::Result,
    room_client::RoomArgs,
    runs::ReportsArgs,
    slots::{self, From},
};
use crate::{terminal, verdict::Exit};

/// Options of `gameday`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill gameday list
  firedrill gameday show gamedays/friday.toml
  firedrill gameday ics gamedays/*.toml
  firedrill check gamedays/*.toml                     is all of it right?
  firedrill gameday start gamedays/friday.toml --slot 2026-12-04T14:00

Game days are files (docs/gamedays.md). Only `start` starts runs; the others ask no host.")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the next slots of game days: local time with its offset, UTC, and why a slot is skipped
    #[command(after_help = "Examples:
  firedrill gameday list
  firedrill gameday list --next 10 gamedays/friday.toml
  firedrill gameday list --from 2027-03-01 --json
  firedrill gameday list --server https://drills.example

With --server a control room lists its game days, for any token (docs/api.md).

Exit codes: 0 all files are right, 2 something is wrong, or the control room cannot be asked.")]
    List {
        /// Files, or folders of them
        #[arg(value_name = "DIR|FILE", default_value = FOLDER)]
        files: Vec<PathBuf>,
        /// Begin there and not now: a date in the schedule's zone, or a time (RFC 3339)
        #[arg(long, value_name = "DATE", value_parser = slots::from)]
        from: Option<From>,
        /// Number of slots of each; with --server at most 100
        #[arg(long, value_name = "N", default_value_t = 5)]
        next: usize,
        #[command(flatten)]
        room: RoomArgs,
        /// For machines: one JSON document on standard output
        #[arg(long)]
        json: bool,
    },
    /// Show a game day: who, what, when, what it requires, and what changes of clocks do to it
    #[command(after_help = "Examples:
  firedrill gameday show gamedays/friday.toml
  firedrill gameday show gamedays/friday.toml --from 2027-03-01 --next 3
  firedrill gameday show gamedays/friday.toml --reports /srv/reports
  firedrill gameday show payments-friday --server https://drills.example

With --server a control room shows one of its game days, for any token (docs/api.md).

Exit codes: 0 all is right, 2 something is wrong in its files, or the control room cannot be asked. What a promotion lacks is shown, and is no error of the file.")]
    Show {
        /// The game day: its file; with --server its name
        #[arg(value_name = "FILE|NAME")]
        file: PathBuf,
        /// Begin there and not now: a date in the schedule's zone, or a time (RFC 3339)
        #[arg(long, value_name = "DATE", value_parser = slots::from)]
        from: Option<From>,
        /// Number of slots; with --server at most 100
        #[arg(long, value_name = "N", default_value_t = 5)]
        next: usize,
        #[command(flatten)]
        room: RoomArgs,
        #[command(flatten)]
        reports: ReportsArgs,
    },
    /// Hold a game day: run its scenarios one after another, once all its conditions are met
    Start(start::Args),
    /// Show the drill that a slot draws (`[monkey]`): its seed, its attacks, their hosts
    Draw(draw::Args),
    /// Agree to the start of a game day that asks for it (`go_no_go`)
    Agree(agree::AgreeArgs),
    /// Approve the drills that a game day starts by its schedule, within bounds (a standing approval)
    Approve(standing::Args),
    /// Let a slot pass: nobody can start it afterwards
    Skip(agree::SkipArgs),
    /// End the run of a game day that goes on, and put everything back
    Halt(now::HaltArgs),
    /// Write a note about the run of a game day that goes on
    Note(now::NoteArgs),
    /// Show the starts of game days that have a record: held, going on, not held, missed
    #[command(after_help = "Examples:
  firedrill gameday held
  firedrill gameday held --reports /srv/reports --last 5 --json")]
    Held {
        #[command(flatten)]
        reports: ReportsArgs,
        /// Number of records, the newest first
        #[arg(long, value_name = "N", default_value_t = 20)]
        last: usize,
        /// For machines: one JSON document on standard output
        #[arg(long)]
        json: bool,
    },
    /// Print a calendar (iCalendar, RFC 5545) of the next slots that are held
    #[command(after_help = "Examples:
  firedrill gameday ics > calendar.ics
  firedrill gameday ics --next 52 gamedays/friday.toml > friday.ics

A slot keeps its identifier, so that a calendar that is imported again changes events and adds none twice.
Exit codes: 0 all files are right, 2 something is wrong, and no calendar is printed.")]
    Ics {
        /// Files, or folders of them
        #[arg(value_name = "DIR|FILE", default_value = FOLDER)]
        files: Vec<PathBuf>,
        /// Begin there and not now: a date in the schedule's zone, or a time (RFC 3339)
        #[arg(long, value_name = "DATE", value_parser = slots::from)]
        from: Option<From>,
        /// Number of slots of each
        #[arg(long, value_name = "N", default_value_t = 26)]
        next: usize,
    },
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let now = Timestamp::now();
    match &args.verb {
        Verb::List { files, from, next, room, json } => {
            if let Some(server) = &room.server {
                return there::list((server, room), files, (*from, *next), *json);
            }
            list::run(&found(files)?, from.unwrap_or(From::Moment(now)), *next, *json)
        }
        Verb::Show { file, from, next, room, reports } => {
            if let Some(server) = &room.server {
                return there::show((server, room), file, (*from, *next));
            }
            show::run(file, from.unwrap_or(From::Moment(now)), *next, &reports.reports)
        }
        Verb::Start(args) => start::run(args),
        Verb::Draw(args) => draw::run(args),
        Verb::Agree(args) => agree::agree(args),
        Verb::Approve(args) => standing::run(args),
        Verb::Skip(args) => agree::skip(args),
        Verb::Halt(args) => now::halt(args),
        Verb::Note(args) => now::note(args),
        Verb::Held { reports, last, json } => held::run(&reports.reports, *last, *json),
        Verb::Ics { files, from, next } => {
            calendar(&found(files)?, from.unwrap_or(From::Moment(now)), *next, now)
        }
    }
}

/// Prints the calendar of the next `next` slots of each game day from `from` on. Prints none if a file has errors.
fn calendar(files: &[PathBuf], from: From, next: usize, now: Timestamp) -> Result<Exit> {
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let days = days::inspect(&files, None, from.early());
    let mut told = HashSet::new();
    let err: String = days.iter().map(|day| day.render(&mut told)).collect();
    terminal::err(format_args!("{err}"));
    if days.iter().any(Day::failed) {
        errln!("no calendar was printed, because of the errors above");
        return Ok(Exit::Usage);
    }
    let events: Vec<ics::Event> = days.iter().flat_map(|day| events(day, from, next)).collect();
    terminal::out(format_args!("{}", ics::calendar(&events, now)));
    Ok(Exit::Held)
}
