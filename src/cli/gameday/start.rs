//! `firedrill gameday start`: checks all conditions of a game day, claims its slot, and holds it (`hold.rs`). Nothing is started before all
//! conditions are met.

use std::path::PathBuf;

use firedrill_gameday::{
    Gameday,
    record::{self, Event, NotClaimed, Reason, Writer},
};
use jiff::Timestamp;

use super::{
    hold::{Held, write},
    ready::{Means, NotHeld, agreed, ready, within_budget},
    remote,
    which::{Which, WhichArgs, gameday},
};
use crate::{
    cli::{
        channels::of_gameday,
        failure::{Failure, Result},
        room_client::{RoomArgs, RoomClient},
    },
    told::GamedayTold,
    verdict::Exit,
};

/// Options of `gameday start`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill gameday start gamedays/friday.toml --slot 2026-12-04T14:00
  firedrill gameday start gamedays/friday.toml --now
  firedrill gameday start gamedays/friday.toml --now --approve approval-bob.json
  firedrill gameday start gamedays/friday.toml --now --incident-unknown
  firedrill gameday start gamedays/friday.toml --now --once build-1234
  firedrill gameday start payments-friday --server https://drills.example --now --once build-1234
  firedrill gameday start gamedays/chaos-monkey.toml --now --seed 7     repeats a drill that was drawn

Nothing starts unless the day is open (`not_on`), the budget of drawn drills has room (`at_most`), enough people have agreed (`go_no_go`, `firedrill gameday agree`), each scenario has
held where it has to (`requires`), no alert of an incident fires (`skip_if`), and all files are right. A slot is held once, whoever starts it. `firedrill serve --start-gamedays`
starts slots at their time. A scenario that a person stops, or that leaves something behind, is the last.

With --server a control room starts it, with its own certificate, for a token that names the game day (`serve token new --start`, docs/api.md).
This command follows it and ends with its exit code; if this command ends before, the game day goes on.

Exit codes: those of `firedrill run`, the worst of all scenarios; 4 also if the game day was not held.")]
pub(super) struct Args {
    /// The game day: its file; with --server its name
    #[arg(value_name = "FILE|NAME")]
    file: PathBuf,
    #[command(flatten)]
    which: WhichArgs,
    #[command(flatten)]
    room: RoomArgs,
    #[command(flatten)]
    means: Means,
    /// With --now: start once for this key, such as the number of a build; a second start with it is refused
    #[arg(long, value_name = "KEY", requires = "now", value_parser = key)]
    once: Option<String>,
    /// With --server: print the start as it ended, as JSON
    #[arg(long)]
    json: bool,
}

/// Reads the key of a start that happens once.
fn key(text: &str) -> Result<String, String> {
    record::check_key(text).map(|()| text.to_owned())
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Exit> {
    if let Some(server) = &args.room.server {
        return on_server(args, server);
    }
    if args.json {
        return Err(
            Failure::new("--json goes with --server").help("reports of the runs are in their folders")
        );
    }
    let now = Timestamp::now();
    let Some(gameday) = gameday(&args.file, now) else { return Ok(Exit::Usage) };
    args.means.drawable(&gameday)?;
    let which = Which { once: args.once.clone(), ..Which::of(&gameday, &args.which, now)? };
    which.in_reach(now)?;
    let (words, slot) = (which.words(&gameday), which.recorded_as());
    // If a start with this key has a record, no host is asked.
    let is_taken =
        || matches!(record::of_slot(&args.means.reports.reports, &gameday.name, &slot), Ok(Some(_)));
    if which.once.is_some() && is_taken() {
        claimed(Err(NotClaimed::Taken), &words)?;
        return Ok(Exit::Refused);
    }
    let ready = ready(&args.means, &gameday, &which, now);
    if let Err(NotHeld { why, exit, .. }) = &ready
        && now < which.slot.starts().timestamp()
    {
        errln!("{words} does not start yet, nothing was touched: {why}");
        return Ok(*exit);
    }
    let claim = Writer::claim_late(&args.means.reports.reports, &gameday.name, &slot);
    let Some(mut record) = claimed(claim, &words)? else { return Ok(Exit::Refused) };
    // This starts a thread. So it comes after `ready`, which may enter a lab's network: a process with several threads cannot do that.
    let told = of_gameday(&args.means.reports.reports, &gameday).map(GamedayTold::new);
    let ended = start((&gameday, &which), ready, &mut record, told.as_ref());
    if let Some(told) = told {
        told.teller().finish();
    }
    ended
}

/// Asks a control room to start the game day. Options that the control room decides about are an error.
fn on_server(args: &Args, server: &str) -> Result<Exit> {
    let Some(key) = &args.once else {
        return Err(Failure::new("a start by --server needs --once KEY")
            .help("a key that is new for each start that is meant, such as the number of a build, keeps a second try from starting it twice"));
    };
    let decided_there = [
        (!args.means.approve.is_empty(), "--approve"),
        (args.means.seed.is_some(), "--seed"),
        (args.means.incident_unknown, "--incident-unknown"),
        (args.means.is_on_lab(), "--lab"),
        (args.means.reports.is_other(), "--reports"),
        (args.means.identity.is_given(), "--pki or --as"),
    ];
    if let Some((_, option)) = decided_there.iter().find(|(is_given, _)| *is_given) {
        return Err(Failure::new(format!(
            "{option} does not go with --server: the control room decides that"
        ))
        .help("start it there: `firedrill gameday start FILE` on its machine"));
    }
    let room = RoomClient::of(server, &args.room)?;
    remote::run(&room, &args.file.display().to_string(), key, args.json)
}

/// Holds the game day, or writes to the record why it is not held. `ready` is the result of the checks before the claim.
fn start(
    (gameday, which): (&Gameday, &Which),
    ready: Result<Held, NotHeld>,
    record: &mut Writer,
    told: Option<&GamedayTold>,
) -> Result<Exit> {
    let (words, slot) = (which.words(gameday), which.recorded_as());
    // The budget and the hosts are checked after the slot was claimed: if two programs start the same slot, the one with the claim gets them.
    let kept = ready.and_then(|held| within_budget(&held.out, gameday, which).map(|()| held));
    let kept = kept.and_then(|held| match held.keep(&words) {
        Ok(whole) => Ok((held, whole)),
        Err(why) => Err(NotHeld::refused(Reason::Busy, why)),
    });
    // Agreements are counted a second time: one to a start by hand counts for one start, and another start may have used it up meanwhile.
    let kept = kept.and_then(|(held, whole)| {
        agreed(&held.out, gameday, which, Timestamp::now())
            .map_err(|failure| NotHeld::refused(Reason::NoGo, failure.to_string()))?;
        Ok((held, whole))
    });
    let (held, whole) = match kept {
        Ok(kept) => kept,
        Err(NotHeld { why, reason, firing, exit }) => {
            errln!("{words} is not held, nothing was touched: {why}");
            let event = Event::NotHeld { why, reason, firing };
            if let Some(told) = told {
                told.not_held(gameday, &slot, &event);
            }
            write(record, event)?;
            return Ok(exit);
        }
    };
    held.begin(gameday, which, record)?;
    if let Some(told) = told {
        told.begun(gameday, &slot, &held.reached.operator, held.hosts());
    }
    let (exit, why) = held.hold(&whole, record, told);
    if let Some(told) = told {
        told.ended(gameday, &slot, exit, why.as_deref());
    }
    let written = write(record, Event::Ended { exit: exit as u8, why: why.clone() });
    if let Some(why) = why {
        errln!("{why}");
    }
    errln!("{words} has ended: {}", exit.word());
    if let Err(failure) = written {
        errln!("{}", failure.styled());
        return Ok(exit.worst(Exit::Usage));
    }
    Ok(exit)
}

/// Returns the record that a claim gave. If the slot was claimed before, prints that and returns `None`; `words` name the start.
pub(super) fn claimed(claim: Result<Writer, NotClaimed>, words: &str) -> Result<Option<Writer>> {
    match claim {
        Ok(record) => Ok(Some(record)),
        Err(NotClaimed::Taken) => {
            let taken = Failure::new(format!("{words} has a record already: a slot is held once"))
                .help("`firedrill gameday held` shows it; --now starts the game day outside of its schedule, with --once KEY once for each key");
            errln!("{}", taken.styled());
            Ok(None)
        }
        Err(NotClaimed::Io { path, source }) => {
            Err(Failure::from(source).wrap(format!("the record {} cannot be made", path.display())))
        }
    }
}
