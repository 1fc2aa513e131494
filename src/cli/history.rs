//! `firedrill history`: shows the runs of a directory, or of a control room, as a table. Needs no host.

use std::{
    collections::HashSet,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::ValueEnum as _;
use firedrill_history::{Entry, Filter, Listed, Listing, Scenario, Shown, address, minute, scenarios};
use http::Method;

use super::{
    failure::{Failure, Result},
    output::{print_json, table},
    room_client::{RoomArgs, RoomClient},
    runs::{ReportsArgs, history_of},
};
use crate::{score::format, terminal::harmless, verdict::Exit};

/// Options of `history`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill history
  firedrill history --scenario friday --since 30d
  firedrill history --verdict violated --since 2026-11-01 --limit 5 --json
  firedrill history --verdict damaged              folders that cannot be read as runs, and why
  firedrill history --flaky                        verdicts that changed although the plan did not
  firedrill history --server https://drills.example

Verdicts are judged from the logs. An index beside the runs (.history.sqlite) makes this quick; it
may be deleted at any time, and is made anew. With --server a control room lists its runs, for any token
(docs/api.md).

Exit codes: 0 whatever the verdicts are (`firedrill gate` is for decisions), 2 the runs cannot be listed.")]
pub(super) struct Args {
    /// Only runs of this scenario
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Only runs with this verdict
    #[arg(long, value_enum, value_name = "VERDICT")]
    verdict: Option<Wanted>,
    /// Only runs since then: a date, a time (RFC 3339, UTC), or how long ago (`30d`, `12h`)
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<i64>,
    /// The newest so many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Sum up by scenario, and say how often a verdict changed although the plan did not
    #[arg(long, conflicts_with_all = ["verdict", "limit"])]
    flaky: bool,
    #[command(flatten)]
    reports: ReportsArgs,
    #[command(flatten)]
    room: RoomArgs,
    /// For machines: one JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// Number of runs that one request to a control room asks for.
const PAGE: usize = 500;

/// A verdict on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Wanted {
    /// All objectives held
    Held,
    /// An objective was violated
    Violated,
    /// Something could not be measured or did not land
    Unknown,
    /// The folder is none of a run that can be read
    Damaged,
}

impl From<Wanted> for Shown {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Held => Self::Held,
            Wanted::Violated => Self::Violated,
            Wanted::Unknown => Self::Unknown,
            Wanted::Damaged => Self::Damaged,
        }
    }
}

/// Parses a date, a time, or a length of time before now. Returns seconds since 1970.
fn since(text: &str) -> Result<i64, String> {
    let time = if let Ok(length) = humantime::parse_duration(text) {
        SystemTime::now().checked_sub(length)
    } else {
        // A date has ten characters; it means the start of that day.
        let time = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
        humantime::parse_rfc3339_weak(&time).ok()
    };
    let seconds = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs());
    seconds.and_then(|seconds| i64::try_from(seconds).ok()).ok_or_else(|| {
        "a date (2026-11-01), a time (2026-11-01T09:30:00Z) or a length (30d, 12h) is wanted".to_owned()
    })
}

/// Runs, and the name of the place where they were found, for messages.
struct Found {
    listing: Listing,
    place: String,
}

/// Lists the runs, or sums them up by scenario. The exit code does not depend on verdicts.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let limit = (args.limit > 0 && !args.flaky).then_some(args.limit);
    let Found { listing, place } = match &args.room.server {
        Some(server) => of_server(args, server, limit)?,
        None => of_directory(args, limit)?,
    };
    if args.flaky {
        let entries: Vec<Entry> = listing.runs.into_iter().map(|run| run.entry).collect();
        let sums = scenarios(&entries);
        if args.json {
            print_json(&serde_json::json!({ "schema": 1, "scenarios": sums }))?;
        } else {
            outln!("{}", by_scenario(&sums));
        }
    } else if args.json {
        print_json(&listing)?;
        return Ok(Exit::Held);
    } else {
        outln!("{}", text(&listing.runs, listing.folders, &place));
    }
    if !listing.damaged.is_empty() && args.verdict != Some(Wanted::Damaged) {
        errln!(
            "{} of {} folders cannot be read as runs; `firedrill history --verdict damaged` says which and why",
            listing.damaged.len(),
            listing.folders
        );
    }
    if let Some(open @ [_, ..]) = listing.open_findings.as_deref().filter(|_| !args.json) {
        let findings = if open.len() == 1 { "finding is" } else { "findings are" };
        errln!("{} {findings} open; `firedrill findings` says which", open.len());
    }
    Ok(Exit::Held)
}

/// Lists the runs of the directory of --reports.
fn of_directory(args: &Args, limit: Option<usize>) -> Result<Found> {
    let mut history = history_of(&args.reports.reports)?;
    let filter = Filter {
        scenario: args.scenario.clone(),
        shown: args.verdict.map(Shown::from),
        since_s: args.since,
        limit,
        skip: 0,
    };
    let (listing, why) = Listing::of(&mut history, &filter)?;
    if let Some(why) = why {
        errln!("warning: {why}");
    }
    Ok(Found { listing, place: history.reports().display().to_string() })
}

/// Asks a control room for its runs, page by page.
fn of_server(args: &Args, server: &str, limit: Option<usize>) -> Result<Found> {
    if args.reports.is_other() {
        return Err(Failure::new(
            "--reports does not go with --server: the control room has its own directory",
        ));
    }
    let room = RoomClient::of(server, &args.room)?;
    let mut keys = Vec::new();
    keys.extend(args.scenario.as_ref().map(|name| format!("&scenario={}", address(name))));
    let word = args.verdict.and_then(|wanted| wanted.to_possible_value());
    keys.extend(word.map(|word| format!("&verdict={}", word.get_name())));
    keys.extend(args.since.map(|since| format!("&since_s={since}")));
    let keys = keys.concat();
    // The pages so far, in one listing.
    let mut so_far: Option<Listing> = None;
    let mut skip = 0;
    loop {
        let had = so_far.as_ref().map_or(0, |listing| listing.runs.len());
        let wanted = limit.map_or(PAGE, |limit| (limit - had).min(PAGE));
        let path = format!("/api/v1/history?limit={wanted}&skip={skip}{keys}");
        let mut page: Listing = room.ask(&Method::GET, &path, &[])?;
        let got = page.runs.len();
        skip += got;
        if let Some(before) = so_far {
            // A run that begins between two requests shifts the others by one, so that a page may repeat a run.
            let known: HashSet<&str> = before.runs.iter().map(|run| run.entry.folder.as_str()).collect();
            page.runs.retain(|run| !known.contains(run.entry.folder.as_str()));
            page.runs.splice(0..0, before.runs);
        }
        let is_last = got < wanted || limit.is_some_and(|limit| page.runs.len() >= limit);
        if is_last {
            if page.open_findings.is_none() {
                errln!("warning: the control room cannot read the findings");
            }
            return Ok(Found { listing: page, place: "the control room".to_owned() });
        }
        so_far = Some(page);
    }
}

/// Formats runs as a table; `folders` is the number of all folders at `place`.
fn text(runs: &[Listed], folders: usize, place: &str) -> String {
    if runs.is_empty() {
        return match folders {
            0 => format!("no runs in {place}"),
            _ => format!("none of the {folders} runs in {place} matches"),
        };
    }
    // The column `detected` is shown only if a run has a time of detection, which needs alerts.
    let alerts = runs.iter().any(|run| run.entry.times.detected_us.is_some());
    let mut heads = vec!["time (UTC)", "scenario", "verdict", "score"];
    heads.extend(alerts.then_some("detected"));
    heads.extend(["mitigated", "recovered", "violated", "run"]);
    let mut rows = vec![heads.into_iter().map(str::to_owned).collect()];
    rows.extend(runs.iter().map(|run| cells(&run.entry, run.running, alerts)));
    let mut text = table(rows);
    if runs.len() < folders {
        text += &format!("\n\n{} of {folders} folders", runs.len());
    }
    text
}

/// Returns the cells of a run's row; `alerts` is whether the table has the column `detected`.
fn cells(entry: &Entry, running: bool, alerts: bool) -> Vec<String> {
    let violated = entry.damage.clone().unwrap_or_else(|| entry.violated.join(", "));
    let time = |us: Option<i64>| us.map_or_else(|| "—".to_owned(), format::time);
    let mut cells = vec![
        minute(entry.at_s),
        entry.scenario.clone().unwrap_or_default(),
        entry.ended_as(running).to_owned(),
        entry.score.map_or_else(|| "—".to_owned(), |score| score.to_string()),
    ];
    cells.extend(alerts.then(|| time(entry.times.detected_us)));
    // Texts of logs were checked when they were read. The name of a folder was not, and may have control characters.
    let folder = harmless(&entry.folder).replace('\n', " ");
    cells.extend([time(entry.times.mitigated_us), time(entry.times.recovered_us), violated, folder]);
    cells
}

/// Formats the sums of scenarios as a table.
fn by_scenario(sums: &[Scenario]) -> String {
    if sums.is_empty() {
        return "no runs".to_owned();
    }
    let heads = ["scenario", "runs", "held", "violated", "unknown", "changed by themselves", "last (UTC)"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(sums.iter().map(|sum| {
        vec![
            sum.scenario.clone(),
            sum.runs.to_string(),
            sum.held.to_string(),
            sum.violated.to_string(),
            (sum.unknown + sum.refused_or_stopped).to_string(),
            sum.flaky.to_string(),
            sum.last.as_ref().and_then(|at| at.get(..16)).unwrap_or_default().replace('T', " "),
        ]
    }));
    table(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates_times_or_lengths() {
        assert_eq!(since("1970-01-02"), Ok(86_400));
        assert_eq!(since("1970-01-02T00:00:10Z"), Ok(86_410));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let hour_ago = u64::try_from(since("1h").unwrap()).unwrap();
        assert!((3_590..=3_610).contains(&(now - hour_ago)), "{hour_ago}");
        assert!(since("yesterday").unwrap_err().contains("30d"));
    }
}
