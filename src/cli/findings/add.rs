//! `firedrill findings add`: a person writes down what has to be mended. Closes nothing.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use firedrill_history::{NewFinding, Severity, address};
use firedrill_judge::notes::{self, FILE, Note};

use super::one::print;
use crate::{
    cli::{
        failure::{Failure, Result, Wrap as _},
        login::named,
        room_client::{RoomArgs, RoomClient},
        runs::{ReportsArgs, history_of, log_of, refresh, reports_of},
    },
    verdict::Exit,
};

/// Options of `findings add`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill findings add 20261120-1402-friday-7f3a 'the runbook names a host that is gone'
  firedrill findings add reports/20261120-1402-friday-7f3a 'nobody was paged' --severity high --owner payments
  firedrill findings add 20261120-1402-friday-7f3a 'nobody was paged' --server https://drills.example

It is also a note of the run, with the time at which it is written, so reports show it on the time axis. No run closes
it: `firedrill findings set ID --close` does. The same words of the same person about one run are one finding.")]
pub(super) struct Args {
    /// The run: its folder, its events.jsonl, or its id
    run: PathBuf,
    /// The finding, in one line
    text: String,
    /// The severity: low, medium, high or critical
    #[arg(long, value_name = "HOW")]
    severity: Option<Severity>,
    /// The person or team that sees to it
    #[arg(long, value_name = "WHO", default_value = "", hide_default_value = true)]
    owner: String,
    /// The person who found it [default: the login name]
    #[arg(long, value_name = "WHO")]
    by: Option<String>,
    #[command(flatten)]
    room: RoomArgs,
    #[command(flatten)]
    reports: ReportsArgs,
    /// For machines: the finding as JSON on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit> {
    let text = notes::line_of(&args.text)
        .map_err(|unfit| Failure::from(unfit).help("write several, or put a link into one"))?;
    if let Some(server) = &args.room.server {
        return there(args, server, &text);
    }
    let log = log_of(&args.run, &args.reports.reports)?;
    let folder = log.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let place = folder.canonicalize().wrap(format!("cannot read {}", folder.display()))?;
    let (Some(reports), Some(name)) = (reports_of(&place), place.file_name()) else {
        return Err(Failure::new(format!("{} is no folder of a run", folder.display())));
    };
    let by = named(args.by.as_deref())?;
    let new = NewFinding { by: &by, found: &text, severity: args.severity, owner: args.owner.trim() };
    let mut history = history_of(&reports)?;
    let (finding, is_new) = history.add_finding(&name.to_string_lossy(), &new)?;
    if is_new {
        let note = Note::new(SystemTime::now(), &by, &text).of_finding(&finding.id);
        notes::add(folder, &note).wrap(format!(
            "the finding {} is written, but {} cannot be written",
            finding.id,
            folder.join(FILE).display()
        ))?;
    }
    print(&finding, args.json)?;
    refresh(&mut history);
    Ok(Exit::Held)
}

/// Has a control room write it. Whoever found it is the token.
fn there(args: &Args, server: &str, text: &str) -> Result<Exit> {
    if args.by.is_some() {
        return Err(Failure::new("--by does not go with --server: whoever found it is the token"));
    }
    let mut body = serde_json::json!({ "text": text, "owner": args.owner.trim() });
    if let Some(severity) = args.severity {
        body["severity"] = severity.word().into();
    }
    let path = format!("/api/v1/runs/{}/findings", address(&args.run.display().to_string()));
    print(&RoomClient::of(server, &args.room)?.tell(&path, &body)?, args.json)?;
    Ok(Exit::Held)
}
