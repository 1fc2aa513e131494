//! `firedrill findings set`: what people write about a finding. Closes only what a person found.

use std::time::SystemTime;

use firedrill_history::{Severity, address};
use serde_json::{Map, Value};

use super::one::print;
use crate::{
    cli::{
        failure::{Failure, Result},
        login::named,
        room_client::{RoomArgs, RoomClient},
        runs::{ReportsArgs, history_of, refresh},
    },
    verdict::Exit,
};

/// Options of `findings set`.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true).multiple(true),
    after_help = "Examples:
  firedrill findings set f-3a91c2 --owner payments --ticket https://tickets.example/OPS-7
  firedrill findings set f-3a91c2 --severity high --follow-up 'friday of 2026-12-18'
  firedrill findings set f-3a91c2 --note 'the pool is too small; mended with release 41'
  firedrill findings set f-3a91c2 --owner ''            takes the owner away
  firedrill findings set f-77c0de --close               what a person found is mended

An id may be cut short, as long as it names one finding; not with --server. What is not named stays as it is. The index
page of the runs is written anew; pages of single runs show it when they are written next."
)]
pub(super) struct Args {
    /// The finding
    id: String,
    /// The person or team that sees to it
    #[arg(long, value_name = "WHO", group = "what")]
    owner: Option<String>,
    /// The severity: low, medium, high or critical
    #[arg(long, value_name = "HOW", group = "what")]
    severity: Option<Severity>,
    /// The ticket in which it is worked on
    #[arg(long, value_name = "TICKET", group = "what")]
    ticket: Option<String>,
    /// The drill that will show whether it is mended
    #[arg(long, value_name = "DRILL", group = "what")]
    follow_up: Option<String>,
    /// Anything else
    #[arg(long, value_name = "TEXT", group = "what")]
    note: Option<String>,
    /// Close it; only what a person found
    #[arg(long, group = "what", conflicts_with = "reopen")]
    close: bool,
    /// Open it again
    #[arg(long, group = "what")]
    reopen: bool,
    #[command(flatten)]
    room: RoomArgs,
    #[command(flatten)]
    reports: ReportsArgs,
    /// For machines: the finding as JSON on standard output
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Whether it is to be closed or opened; `None` leaves it as it is.
    const fn closed(&self) -> Option<bool> {
        match (self.close, self.reopen) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }

    /// The texts that are named.
    fn texts(&self) -> [(&'static str, Option<&String>); 4] {
        [
            ("owner", self.owner.as_ref()),
            ("ticket", self.ticket.as_ref()),
            ("follow_up", self.follow_up.as_ref()),
            ("note", self.note.as_ref()),
        ]
    }
}

pub(super) fn run(args: &Args) -> Result<Exit> {
    if let Some(server) = &args.room.server {
        return there(args, server);
    }
    let who = if args.closed().is_some() { named(None)? } else { String::new() };
    let mut history = history_of(&args.reports.reports)?;
    let mut refused = None;
    let edited = history.edit_finding(&args.id, |finding| {
        if let Some(closed) = args.closed() {
            refused = finding.set_closed(closed, &who, SystemTime::now()).err();
        }
        if refused.is_some() {
            return;
        }
        let places = [&mut finding.owner, &mut finding.ticket, &mut finding.follow_up, &mut finding.note];
        for (place, (_, text)) in places.into_iter().zip(args.texts()) {
            if let Some(text) = text {
                place.clone_from(text);
            }
        }
        finding.severity = args.severity.or(finding.severity);
    });
    let edited = edited
        .map_err(|error| Failure::from(error).help("`firedrill findings --all` lists them with their ids"))?;
    if let Some(why) = refused {
        return Err(Failure::new(format!("finding {} was not changed: {why}", edited.id)));
    }
    print(&edited, args.json)?;
    refresh(&mut history);
    Ok(Exit::Held)
}

/// Has a control room write it.
fn there(args: &Args, server: &str) -> Result<Exit> {
    let texts = args.texts().into_iter().filter_map(|(name, text)| Some((name, text?.as_str().into())));
    let mut body: Map<String, Value> =
        texts.map(|(name, text): (&str, Value)| (name.to_owned(), text)).collect();
    if let Some(severity) = args.severity {
        body.insert("severity".to_owned(), severity.word().into());
    }
    if let Some(closed) = args.closed() {
        body.insert("closed".to_owned(), closed.into());
    }
    let path = format!("/api/v1/findings/{}", address(&args.id));
    print(&RoomClient::of(server, &args.room)?.tell(&path, &body)?, args.json)?;
    Ok(Exit::Held)
}
