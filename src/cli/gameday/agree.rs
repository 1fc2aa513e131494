//! `firedrill gameday agree` and `skip`: records a person's decision about one start, before it begins. Starts nothing.

use std::path::PathBuf;

use firedrill_gameday::record::{self, Event, Writer};
use jiff::Timestamp;

use super::{
    start::claimed,
    which::{Which, WhichArgs, gameday},
};
use crate::{
    cli::{
        args::IdentityArgs,
        channels::of_gameday,
        failure::{Failure, Result, Wrap as _},
        runs::ReportsArgs,
    },
    told::passed,
    verdict::Exit,
};

/// Options of `gameday agree`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill gameday agree gamedays/friday.toml --slot 2026-12-04T14:00
  firedrill gameday agree gamedays/friday.toml --slot 2026-12-04T14:00 --withdraw
  firedrill gameday agree gamedays/friday.toml --now

The name is that of your certificate. An agreement counts for the time that `go_no_go` names, and one to a start by hand for one start. It
organises people: hosts verify approvals (`firedrill approve`), and agreements are none.

Exit codes: 0 it is written, 2 it is not.")]
pub(super) struct AgreeArgs {
    /// The game day
    file: PathBuf,
    #[command(flatten)]
    which: WhichArgs,
    /// Take an agreement back
    #[arg(long)]
    withdraw: bool,
    #[command(flatten)]
    reports: ReportsArgs,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// Writes the agreement to a start, or takes it back.
pub(super) fn agree(args: &AgreeArgs) -> Result<Exit> {
    let now = Timestamp::now();
    let Some(gameday) = gameday(&args.file, now) else { return Ok(Exit::Usage) };
    let which = Which::of(&gameday, &args.which, now)?;
    let identity = args.identity.load()?;
    let reports = &args.reports.reports;
    let name = which.agreed_as();
    let start = (name.as_str(), which.slot.starts().timestamp());
    let decision = (identity.name(), !args.withdraw);
    let words = record::agreed_by(reports, &gameday, start, decision, now).map_err(Failure::new)?;
    outln!("{}: {words}", which.words(&gameday));
    Ok(Exit::Held)
}

/// Options of `gameday skip`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill gameday skip gamedays/friday.toml --slot 2026-12-04T14:00 --why \"release freeze\"

The slot gets a record with the reason, and nobody can start it afterwards.

Exit codes: 0 it is skipped, 2 it cannot be, 4 it has a record already.")]
pub(super) struct SkipArgs {
    /// The game day
    file: PathBuf,
    /// The slot, by its name as `gameday list` shows it, such as 2026-12-04T14:00
    #[arg(long, value_name = "TIME")]
    slot: String,
    /// The reason
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    reports: ReportsArgs,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// Writes the record that a slot is skipped, and sends the message about it.
pub(super) fn skip(args: &SkipArgs) -> Result<Exit> {
    let now = Timestamp::now();
    let Some(gameday) = gameday(&args.file, now) else { return Ok(Exit::Usage) };
    let which = Which::of(&gameday, &WhichArgs { slot: Some(args.slot.clone()), now: false }, now)?;
    which.not_over(now)?;
    let identity = args.identity.load()?;
    let slot = which.recorded_as();
    let Some(mut record) =
        claimed(Writer::claim(&args.reports.reports, &gameday.name, &slot), &which.words(&gameday))?
    else {
        return Ok(Exit::Refused);
    };
    let skipped = Event::skipped(identity.name(), args.why.as_deref().unwrap_or_default());
    let message = passed(&gameday, &slot, &skipped);
    record.write(now, skipped).wrap(format!("the record {} cannot be written", record.path().display()))?;
    outln!("{} is skipped", which.words(&gameday));
    if let (Some(message), Some(teller)) = (message, of_gameday(&args.reports.reports, &gameday)) {
        teller.tell(&message);
        teller.finish();
    }
    Ok(Exit::Held)
}
