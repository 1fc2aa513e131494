//! `firedrill notify`: tests channels, and shows, delivers and deletes messages that wait.

use std::path::PathBuf;

use clap::Subcommand;
use firedrill_notify::{
    Message, What, delete, deliver, now, rfc3339,
    spool::{Ended, Entry, Spool},
    test_one,
};
use firedrill_wire::text::{NAME_MOST, clean};
use serde::Serialize;

use super::{
    ask::runtime,
    channels::{self, FILE, read},
    failure::{Failure, Result, Wrap as _},
    login::named,
    output::{print_json, table},
    runs::ReportsArgs,
};
use crate::{diagnostic::plural, verdict::Exit};

/// The next step when no waiting message has the given channel or id.
const LISTS: &str =
    "`firedrill notify list` shows what waits, with channels and ids; --reports names the directory of runs";

/// Options of `notify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill notify test ops                           a message goes the whole way
  firedrill notify list                               what waits, was delivered, was given up
  firedrill notify deliver                            try now what waits
  firedrill notify delete old                         what waits for a channel that nobody has any more
  firedrill check channels.toml                       is the file right?

Channels are in a file (docs/channels.md). `firedrill run --notify FILE` tells of a run, and a game day names its channels.")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Send a message by a channel, the whole way
    #[command(after_help = "Examples:
  firedrill notify test ops
  firedrill notify test ops --channels /etc/firedrill/channels.toml

Exit codes: 0 the channel took it, 2 it did not.")]
    Test {
        /// The channel
        channel: String,
        #[command(flatten)]
        file: FileArgs,
        #[command(flatten)]
        reports: ReportsArgs,
    },
    /// Show messages: those that wait, and those that were delivered or given up in the last 30 days
    #[command(after_help = "Examples:
  firedrill notify list
  firedrill notify list --reports /srv/reports --json
  firedrill notify list --last 5
  firedrill notify list --channel old

Exit codes: 0 none was given up or is unreadable, 3 some were. Those that a person deleted do not count.")]
    List {
        #[command(flatten)]
        reports: ReportsArgs,
        /// Number of messages that have ended, the newest
        #[arg(long, value_name = "N", default_value_t = 20)]
        last: usize,
        /// Only messages for this channel
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
        /// For machines: one JSON document on standard output
        #[arg(long)]
        json: bool,
    },
    /// Delete the messages that wait for a channel: nobody gets them
    #[command(after_help = "Examples:
  firedrill notify delete old
  firedrill notify delete ops --id 20261204-1400-friday-7f3a/started --reports /srv/reports

For a channel that no file has any more, whose messages would wait for ever. This may run beside runs and control rooms: a message that is being sent is waited
for. `notify list` shows deleted messages for 30 days, with the person.

Exit codes: 0 they are deleted, 2 nothing waits for the channel, or it cannot be done.")]
    Delete {
        /// The channel
        channel: String,
        /// Only the message with this id, as `notify list` shows it; may be given several times
        #[arg(long, value_name = "ID")]
        id: Vec<String>,
        /// The person who deletes them; default the login name
        #[arg(long, value_name = "WHO")]
        by: Option<String>,
        #[command(flatten)]
        reports: ReportsArgs,
    },
    /// Try now to deliver all messages that wait for the channels of a file
    #[command(after_help = "Examples:
  firedrill notify deliver
  firedrill notify deliver --channels /etc/firedrill/channels.toml --reports /srv/reports

A message is sent by one program at a time, so this may run beside runs and control rooms.

Exit codes: 0 nothing waits for these channels any more, 3 something waits or was given up.")]
    Deliver {
        #[command(flatten)]
        file: FileArgs,
        #[command(flatten)]
        reports: ReportsArgs,
    },
}

#[derive(Debug, clap::Args)]
struct FileArgs {
    /// The file of channels
    #[arg(long, value_name = "FILE", default_value = FILE)]
    channels: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Exit> {
    match &args.verb {
        Verb::Test { channel, file, reports } => test(channel, file, reports),
        Verb::List { reports, last, channel, json } => list(reports, channel.as_deref(), *last, *json),
        Verb::Delete { channel, id, by, reports } => delete_waiting(channel, id, by.as_deref(), reports),
        Verb::Deliver { file, reports } => deliver_now(file, reports),
    }
}

/// Sends a test message by a channel.
fn test(name: &str, file: &FileArgs, reports: &ReportsArgs) -> Result<Exit> {
    let known = read(&file.channels)?;
    let channel = channels::named(&known, name, &file.channels)?;
    let id = format!("test/{}-{}", rfc3339(now()), std::process::id());
    let mut message = Message::new(id, What::Test, format!("Firedrill: a test of the channel {name}"));
    message.why = Some("`firedrill notify test` sent it; nothing is harmed".to_owned());
    let tried = runtime()?.block_on(test_one(&Spool::of(&reports.reports), name, channel, &message));
    tried.map_err(|why| {
        Failure::new(format!("the channel {name} did not take the message: {why}"))
            .help("a test is not tried again; correct the channel or its secrets, and send another")
    })?;
    outln!("{name} took the message {}", message.id);
    Ok(Exit::Held)
}

/// Tries now to deliver the messages that wait for the channels of a file.
fn deliver_now(file: &FileArgs, reports: &ReportsArgs) -> Result<Exit> {
    let channels = read(&file.channels)?;
    let spool = Spool::of(&reports.reports);
    let (mut count, mut all_well) = (0, true);
    let tell = |entry: &Entry, words: &str| {
        outln!("{}: {}: {words}", entry.channel, entry.message.title);
        count += 1;
        all_well &= words == "delivered";
    };
    runtime()?.block_on(deliver(&spool, &channels, tell)).map_err(Failure::new)?;
    let pending = spool.pending().wrap("the spool cannot be read")?;
    let (own, others): (Vec<_>, Vec<_>) =
        pending.iter().partition(|entry| channels.contains_key(&entry.channel));
    if count == 0 && own.is_empty() {
        outln!("nothing waits for the channels of {}", file.channels.display());
    }
    if !others.is_empty() {
        let (number, s) = (others.len(), plural(others.len()));
        errln!(
            "{number} message{s} for channels that this file does not have; `firedrill notify list` shows them, and `firedrill notify delete CHANNEL` deletes them"
        );
    }
    Ok(if all_well && own.is_empty() { Exit::Held } else { Exit::Unknown })
}

/// Deletes the messages that wait for a channel; if `ids` is not empty, only those with these ids.
fn delete_waiting(channel: &str, ids: &[String], by: Option<&str>, reports: &ReportsArgs) -> Result<Exit> {
    let (by, spool) = (named(by)?, Spool::of(&reports.reports));
    let shown = clean(channel, NAME_MOST);
    let deleted = delete(&spool, channel, ids, &by)
        .map_err(|why| Failure::new(format!("the messages for {shown}: {why}")).help(LISTS))?;
    if deleted.is_empty() {
        return Err(
            Failure::new(format!("nothing waits for {shown} in {}", reports.reports.display())).help(LISTS)
        );
    }
    for Entry { message, .. } in &deleted {
        outln!("deleted: {}: {} ({})", message.at, message.title, message.id);
    }
    Ok(Exit::Held)
}

/// A message for machines.
#[derive(Serialize)]
struct JsonEntry<'a> {
    id: &'a str,
    channel: &'a str,
    what: &'static str,
    title: &'a str,
    at: &'a str,
    state: &'static str,
    tries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

impl<'a> JsonEntry<'a> {
    fn of(entry: &'a Entry) -> Self {
        let (state, ended, why) = match &entry.ended {
            None => ("pending", None, entry.last.as_deref()),
            Some(Ended::Delivered { at, .. }) => ("delivered", Some(at.as_str()), None),
            Some(Ended::GivenUp { at, why, by: None }) => ("given-up", Some(at.as_str()), Some(why.as_str())),
            Some(Ended::GivenUp { at, why, by: Some(_) }) => {
                ("deleted", Some(at.as_str()), Some(why.as_str()))
            }
        };
        let Message { id, what, title, at, .. } = &entry.message;
        Self {
            id,
            channel: &entry.channel,
            what: what.word(),
            title,
            at,
            state,
            tries: entry.tries,
            ended,
            why,
        }
    }
}

/// Shows the messages that wait, and the last `last` that have ended.
fn list(reports: &ReportsArgs, channel: Option<&str>, last: usize, json: bool) -> Result<Exit> {
    let mut spooled = Spool::of(&reports.reports).all().wrap("the spool cannot be read")?;
    if let Some(name) = channel {
        spooled.pending.retain(|entry| entry.channel == name);
        spooled.ended.retain(|entry| entry.channel == name);
    }
    let skipped = spooled.ended.len().saturating_sub(last);
    let shown: Vec<JsonEntry<'_>> =
        spooled.ended[skipped..].iter().chain(&spooled.pending).map(JsonEntry::of).collect();
    for (path, why) in &spooled.unreadable {
        errln!("warning: {} is no message: {why}", path.display());
    }
    if json {
        print_json(&shown)?;
    } else if shown.is_empty() {
        let whose =
            channel.map(|name| format!(" for the channel {}", clean(name, NAME_MOST))).unwrap_or_default();
        outln!("no message{whose} is in {}", reports.reports.display());
    } else {
        let head = ["time", "channel", "state", "message", "id"].map(str::to_owned).to_vec();
        let rows = shown.iter().map(|entry| {
            let tries =
                if entry.tries == 0 { String::new() } else { format!(", {} tries failed", entry.tries) };
            let why = entry.why.map_or_else(String::new, |why| format!(": {why}"));
            let state = format!("{}{tries}{why}", entry.state);
            [entry.at, entry.channel, &state, entry.title, entry.id].map(str::to_owned).to_vec()
        });
        outln!("{}", table(std::iter::once(head).chain(rows).collect()));
    }
    let is_lost = |entry: &Entry| {
        entry.message.what != What::Test && matches!(entry.ended, Some(Ended::GivenUp { by: None, .. }))
    };
    let lost = spooled.ended.iter().any(is_lost);
    Ok(if lost || !spooled.unreadable.is_empty() { Exit::Unknown } else { Exit::Held })
}
