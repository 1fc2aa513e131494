//! `firedrill gameday held`: shows the starts of game days that have a record, and how they ended. Asks no host.

use std::path::Path;

use firedrill_gameday::record::{self, Record, State};
use serde::Serialize;

use crate::{
    cli::{
        failure::{Result, Wrap as _},
        output::{print_json, table},
    },
    verdict::Exit,
};

/// A start for machines.
#[derive(Serialize)]
struct JsonRecord<'a> {
    gameday: &'a str,
    slot: &'a str,
    at: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    /// The kind of the reason why it was not held.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit: Option<u8>,
    runs: Vec<&'a str>,
    lines: &'a [record::Line],
}

/// Returns the state of a record twice: as a fixed word for programs, and as a text for people.
pub(in crate::cli) fn words(record: &Record) -> (&'static str, String) {
    match &record.state {
        State::GoesOn => ("goes-on", "goes on".to_owned()),
        State::Ended(exit) => ("ended", Exit::of_code(*exit).word().to_owned()),
        State::NotHeld(why) => ("not-held", format!("not held: {why}")),
        State::Missed(why) => ("missed", format!("missed: {why}")),
        State::Died if record.touched_nothing() => {
            ("died", "not held: its program ended before it began".to_owned())
        }
        State::Died => (
            "died",
            "unknown: its record has no end; hosts put everything back when their leases end, and `firedrill status` shows what is in force"
                .to_owned(),
        ),
        State::Unreadable(why) => ("unreadable", format!("unknown: its record cannot be read: {why}")),
    }
}

/// Runs the command: prints the newest `most` records.
pub(super) fn run(reports: &Path, most: usize, json: bool) -> Result<Exit> {
    let records = record::all(reports, most)
        .wrap(format!("the records of game days in {} cannot be read", reports.display()))?;
    if json {
        let records: Vec<JsonRecord<'_>> = records.iter().map(for_machines).collect();
        print_json(&records)?;
        return Ok(Exit::Held);
    }
    if records.is_empty() {
        outln!("no game day has a record in {}", reports.display());
        return Ok(Exit::Held);
    }
    let mut rows = vec![["game day", "slot", "recorded, UTC", "result", "runs"].map(str::to_owned).to_vec()];
    rows.extend(records.iter().map(|record| {
        let runs: Vec<&str> = record.runs().collect();
        vec![
            record.gameday.clone(),
            record.slot.clone(),
            record.at().get(..16).unwrap_or_default().replace('T', " "),
            words(record).1,
            runs.join("\n"),
        ]
    }));
    outln!("{}", table(rows));
    Ok(Exit::Held)
}

fn for_machines(record: &Record) -> JsonRecord<'_> {
    JsonRecord {
        gameday: &record.gameday,
        slot: &record.slot,
        at: record.at(),
        state: words(record).0,
        why: record.why(),
        reason: record.reason().map(record::Reason::word),
        exit: record.exit(),
        runs: record.runs().collect(),
        lines: &record.lines,
    }
}
