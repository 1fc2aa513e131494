//! `firedrill gameday halt` and `gameday note`: act on the run of a game day that goes on now, without its id. They ask no host.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use firedrill_gameday::record::{self, State};
use firedrill_history::address;
use firedrill_judge::{
    log::{self, Event, is_written},
    notes::{self, Note},
    score,
};
use http::Method;
use serde::Deserialize;

use crate::{
    cli::{
        ask::runtime,
        failure::{Failure, Result, Wrap as _},
        halted,
        login::{login_name, named},
        room_client::{RoomArgs, RoomClient},
        runs::{LOG, ReportsArgs, begun_of},
    },
    run::{Halted, halt as halt_run},
    verdict::Exit,
};

/// Number of records among which the start that goes on is looked for.
const RECORDS: usize = 100;
/// Time between two looks, and the time for which a run is waited for: between two scenarios a game day has none.
const LOOK: Duration = Duration::from_millis(500);
const NO_RUN: Duration = Duration::from_secs(60);

/// The game day whose run is meant.
#[derive(Debug, clap::Args)]
struct Whose {
    /// The game day, by its name
    #[arg(value_name = "NAME")]
    gameday: String,
    #[command(flatten)]
    room: RoomArgs,
    #[command(flatten)]
    reports: ReportsArgs,
}

/// Options of `gameday halt`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill gameday halt payments-friday
  firedrill gameday halt payments-friday --server https://drills.example

The run that goes on ends and puts everything back, and none of the game day's scenarios follows. On this machine it works for the run's
user and for root; with --server it takes an operator's token (docs/api.md). Where neither works: `firedrill undo --all --fleet FLEET`.
Exit codes: 0 everything is back · 2 no start of it goes on · 6 something may still be in force · 7 a host lost its records")]
pub(super) struct HaltArgs {
    #[command(flatten)]
    whose: Whose,
}

/// Options of `gameday note`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill gameday note payments-friday 'the pager rang at the second phone'
  firedrill gameday note payments-friday --server https://drills.example 'traffic is back'

As `firedrill note`, about the run that goes on.")]
pub(super) struct NoteArgs {
    #[command(flatten)]
    whose: Whose,
    /// The note
    text: String,
    /// The author of the note [default: the login name]
    #[arg(long, value_name = "WHO")]
    by: Option<String>,
}

/// The starts of game days, as the API tells them.
#[derive(Deserialize)]
struct Starts {
    starts: Vec<Start>,
}

/// A start, as far as it is read.
#[derive(Deserialize)]
struct Start {
    gameday: String,
    state: String,
    runs: Vec<String>,
}

impl Whose {
    /// Returns the newest run of the start that goes on; waits a while for one.
    fn run(&self, newest: impl Fn() -> Result<Option<Vec<String>>>) -> Result<String> {
        let end = Instant::now() + NO_RUN;
        loop {
            let Some(mut runs) = newest()? else {
                return Err(Failure::new(format!("no start of the game day {} goes on", self.gameday)).help(
                    "`firedrill gameday held` shows the starts; on a control room, the page Calendar does",
                ));
            };
            if let Some(run) = runs.pop() {
                return Ok(run);
            }
            if Instant::now() > end {
                return Err(Failure::new(format!(
                    "the game day {} goes on, and has no run yet",
                    self.gameday
                )));
            }
            thread::sleep(LOOK);
        }
    }

    /// Returns the run on this machine.
    fn here(&self) -> Result<PathBuf> {
        let reports = &self.reports.reports;
        let run = self.run(|| {
            let all = record::all(reports, RECORDS)
                .wrap(format!("the records of game days in {} cannot be read", reports.display()))?;
            let mut mine =
                all.into_iter().filter(|one| one.gameday == self.gameday && one.state == State::GoesOn);
            Ok(mine.next().map(|one| one.runs().map(str::to_owned).collect()))
        })?;
        Ok(reports.join(run))
    }

    /// Returns the run of a control room.
    fn there(&self, room: &RoomClient) -> Result<String> {
        self.run(|| {
            let Starts { starts } = room.ask(&Method::GET, "/api/v1/gamedays", &[])?;
            let mut mine = starts.into_iter().filter(|one| {
                one.gameday == self.gameday && matches!(one.state.as_str(), "goes-on" | "starting")
            });
            Ok(mine.next().map(|one| one.runs))
        })
    }
}

/// Runs `gameday halt`.
pub(super) fn halt(args: &HaltArgs) -> Result<Exit> {
    if let Some(server) = &args.whose.room.server {
        let room = RoomClient::of(server, &args.whose.room)?;
        let run = args.whose.there(&room)?;
        return Ok(halted::there(&room, &run));
    }
    // A halt fails for no name.
    let by = login_name().unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()));
    let folder = args.whose.here()?;
    let (run, _) = begun_of(&folder.join(LOG))?;
    let help = format!("`firedrill undo --run {run} --fleet FLEET` asks the hosts themselves");
    match runtime()?.block_on(halt_run(&run, &by)) {
        Halted::Ends => outln!("run {run} ends and puts everything back"),
        Halted::Over => outln!("run {run} was ending already, or has ended"),
        Halted::Claimed { user, .. } => {
            outln!(
                "a program of user {user} says so of run {run}, and nothing proves that it is its coordinator; {help}"
            );
            return Ok(Exit::Unclean);
        }
        Halted::Nowhere => {
            return told(&format!("no program on this machine runs {run}"), &help);
        }
        Halted::Silent(why) => {
            return told(&format!("the coordinator of {run} did not answer: {why}"), &help);
        }
    }
    let end = Instant::now() + halted::PATIENCE;
    while is_written(&folder.join(LOG)) {
        if Instant::now() > end {
            return told(&format!("run {run} has not ended within {} s", halted::PATIENCE.as_secs()), &help);
        }
        thread::sleep(LOOK);
    }
    let exit = halted::exit(exit_of(&folder)?);
    outln!(
        "run {run} has ended{}",
        if exit == Exit::Held { ": everything is back" } else { "; its report names the hosts" }
    );
    Ok(exit)
}

/// Says why it is not known that everything is back.
fn told(why: &str, help: &str) -> Result<Exit> {
    errln!("{why}; {help}");
    Ok(Exit::Unclean)
}

/// Returns the exit code of a run by its log; `None` if it has no end.
fn exit_of(folder: &Path) -> Result<Option<u8>> {
    let log = log::read(&folder.join(LOG)).wrap(format!("cannot judge {}", folder.display()))?;
    let has_ended = log.records.iter().any(|record| matches!(record.event, Event::RunEnded { .. }));
    Ok(has_ended.then(|| score::judge(&log).exit))
}

/// Runs `gameday note`.
pub(super) fn note(args: &NoteArgs) -> Result<Exit> {
    let line = notes::line_of(&args.text)?;
    if let Some(server) = &args.whose.room.server {
        if args.by.is_some() {
            return Err(Failure::new("--by does not go with --server: the author is the token"));
        }
        let room = RoomClient::of(server, &args.whose.room)?;
        let run = args.whose.there(&room)?;
        let path = format!("/api/v1/runs/{}/notes", address(&run));
        let _done: serde_json::Value = room.tell(&path, &serde_json::json!({ "text": line }))?;
        outln!("the note about {run} is written");
        return Ok(Exit::Held);
    }
    let folder = args.whose.here()?;
    let note = Note::new(SystemTime::now(), &named(args.by.as_deref())?, &line);
    notes::add(&folder, &note).wrap(format!("cannot write the note in {}", folder.display()))?;
    outln!("{} {}: {}", note.at, note.by, note.text);
    Ok(Exit::Held)
}
