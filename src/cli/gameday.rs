//! `firedrill gameday`: when game days are due, who takes part, and what they do. Asks no host and starts nothing.

mod list;
mod show;
mod slots;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use firedrill_gameday::ics;
use jiff::Timestamp;

use self::slots::From;
use super::{
    days::{self, Day},
    failure::{Failure, Result},
    runs::ReportsArgs,
};
use crate::{terminal, verdict::Exit};

/// The folder of game days.
const FOLDER: &str = "gamedays";
/// The names of people and files in a calendar's description are joined by this.
const LIST: &str = ", ";

/// Options of `gameday`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill gameday list
  firedrill gameday show gamedays/friday.toml
  firedrill gameday ics gamedays/*.toml
  firedrill check gamedays/*.toml                     is all of it right?

Game days are files (docs/gamedays.md). Nothing here starts a run or asks a host.")]
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

Exit codes: 0 all files are right, 2 something is wrong.")]
    List {
        /// Files, or folders of them
        #[arg(value_name = "DIR|FILE", default_value = FOLDER)]
        files: Vec<PathBuf>,
        /// Begin there and not now: a date in the schedule's zone, or a time (RFC 3339)
        #[arg(long, value_name = "DATE", value_parser = slots::from)]
        from: Option<From>,
        /// Number of slots of each
        #[arg(long, value_name = "N", default_value_t = 5)]
        next: usize,
        /// For machines: one JSON document on standard output
        #[arg(long)]
        json: bool,
    },
    /// Show a game day: who, what, when, what it requires, and what changes of clocks do to it
    #[command(after_help = "Examples:
  firedrill gameday show gamedays/friday.toml
  firedrill gameday show gamedays/friday.toml --from 2027-03-01 --next 3
  firedrill gameday show gamedays/friday.toml --reports /srv/reports

Exit codes: 0 all is right, 2 something is wrong in its files. What a promotion lacks is shown, and is no error of the file.")]
    Show {
        /// The game day
        file: PathBuf,
        /// Begin there and not now: a date in the schedule's zone, or a time (RFC 3339)
        #[arg(long, value_name = "DATE", value_parser = slots::from)]
        from: Option<From>,
        /// Number of slots
        #[arg(long, value_name = "N", default_value_t = 5)]
        next: usize,
        #[command(flatten)]
        reports: ReportsArgs,
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
        Verb::List { files, from, next, json } => {
            list::run(&found(files)?, from.unwrap_or(From::Moment(now)), *next, *json)
        }
        Verb::Show { file, from, next, reports } => {
            show::run(file, from.unwrap_or(From::Moment(now)), *next, &reports.reports)
        }
        Verb::Ics { files, from, next } => {
            calendar(&found(files)?, from.unwrap_or(From::Moment(now)), *next, now)
        }
    }
}

/// Returns the files: those that are named, and those in folders that are named.
fn found(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            if !path.exists() && path.as_path() == Path::new(FOLDER) {
                return Err(Failure::new("there is no folder `gamedays` here")
                    .help("name files or another folder; docs/gamedays.md shows how a game day is written"));
            }
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(|error| {
            Failure::from(error).wrap(format!("the folder {} cannot be read", path.display()))
        })?;
        let mut there: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|end| end == "toml") && path.is_file())
            .collect();
        if there.is_empty() {
            return Err(Failure::new(format!("there is no game day in {}", path.display())).help(
                "game days are files that end with `.toml`; docs/gamedays.md shows how one is written",
            ));
        }
        there.sort();
        files.append(&mut there);
    }
    Ok(files)
}

fn calendar(files: &[PathBuf], from: From, next: usize, now: Timestamp) -> Result<Exit> {
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let all = days::inspect(&files, None, from.early());
    let mut told = HashSet::new();
    let err: String = all.iter().map(|day| day.render(&mut told)).collect();
    terminal::err(format_args!("{err}"));
    if all.iter().any(Day::failed) {
        errln!("no calendar was printed, because of the errors above");
        return Ok(Exit::Usage);
    }
    let events: Vec<ics::Event> = all.iter().flat_map(|day| events(day, from, next)).collect();
    terminal::out(format_args!("{}", ics::calendar(&events, now)));
    Ok(Exit::Held)
}

fn events(day: &Day, from: From, next: usize) -> Vec<ics::Event> {
    let Some(gameday) = &day.gameday else { return Vec::new() };
    let lasts = days::signed(days::total(&day.drills));
    let roles: Vec<String> = gameday.roles.iter().map(|(role, person)| format!("{role}: {person}")).collect();
    let scenarios: Vec<String> =
        day.drills.iter().filter_map(|drill| Some(drill.plan.as_ref()?.name.clone())).collect();
    let longest = days::longest(&day.drills);
    let mut about = format!(
        "Scenarios: {}\nFleet: {}\nTakes up to {longest}\nTouches: {}",
        scenarios.join(LIST),
        gameday.fleet.display(),
        crate::alike::names(&days::may_touch(&day.drills).into_iter().collect::<Vec<_>>())
    );
    if !roles.is_empty() {
        about.push_str(&format!("\n{}", roles.join(LIST)));
    }
    let slots = gameday.schedule.upcoming(from.moment(gameday.schedule.zone()));
    // Closed slots count, so that a game day that is never held ends this, too.
    let held = slots.take(next).filter(|slot| gameday.why_closed(slot).is_none());
    held.map(|slot| ics::Event {
        name: gameday.name.clone(),
        civil: slot.civil_text(),
        starts: slot.starts().timestamp(),
        lasts,
        summary: format!("Game day {}", gameday.name),
        about: match &slot.note {
            Some(note) => format!("{about}\n{note}"),
            None => about.clone(),
        },
        announce: gameday.announce.iter().map(|before| days::signed(*before)).collect(),
    })
    .collect()
}
