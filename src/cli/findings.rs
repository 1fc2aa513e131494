//! `firedrill findings`: shows what drills and people have found, whether it is closed, and who works on it. Asks no host.

mod add;
mod one;
mod set;

use firedrill_history::{Finding, Severity, State};
use http::Method;
use serde::Deserialize;

use super::{
    failure::Result,
    output::{print_json, table},
    room_client::{RoomArgs, RoomClient},
    runs::{ReportsArgs, findings_of, history_of},
};
use crate::verdict::Exit;

/// Options of `findings`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  firedrill findings
  firedrill findings --all --scenario friday
  firedrill findings --owner payments --json
  firedrill findings add 20261120-1402-friday-7f3a 'the runbook names a host that is gone' --severity high
  firedrill findings set f-3a91c2 --owner payments --ticket OPS-7
  firedrill findings --server https://drills.example

A run that violates an objective opens a finding, or adds to the one that is open. The next run of the
same scenario, in the same environment, in which that objective holds closes it. What is unknown does
neither. All of that follows from the runs. What people find (`add`) stays open until somebody closes it
(`set ID --close`). Owner, severity, ticket, follow-up and note stand in findings.toml beside the runs, may be
edited there too, and are kept. With --server a control room lists its findings, for any token (docs/api.md).
Exit code 0, whatever is open."
)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Also those that are closed or withdrawn
    #[arg(long)]
    all: bool,
    /// Only those of this scenario
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Only those of this owner; an empty text for those without one
    #[arg(long, value_name = "WHO")]
    owner: Option<String>,
    #[command(flatten)]
    room: RoomArgs,
    #[command(flatten)]
    reports: ReportsArgs,
    /// For machines: one JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// The findings of a control room.
#[derive(Deserialize)]
struct There {
    findings: Vec<Finding>,
    why_not_kept: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Write down what a person found in a run
    Add(add::Args),
    /// Write who sees to a finding, how bad it is, and what else there is to say; close what a person found
    Set(set::Args),
}

/// Prints the findings that the options select, or changes one.
pub(super) fn run(args: &Args) -> Result<Exit> {
    match &args.verb {
        Some(Verb::Add(args)) => return add::run(args),
        Some(Verb::Set(args)) => return set::run(args),
        None => {}
    }
    let findings = all(args)?;
    let shown: Vec<&Finding> = findings
        .iter()
        .filter(|finding| args.all || finding.state == State::Open)
        .filter(|finding| args.scenario.as_ref().is_none_or(|scenario| *scenario == finding.scenario))
        .filter(|finding| args.owner.as_ref().is_none_or(|owner| *owner == finding.owner))
        .collect();
    if args.json {
        print_json(&serde_json::json!({ "schema": 1, "findings": shown }))?;
    } else {
        outln!("{}", text(&shown, &findings, args));
    }
    Ok(Exit::Held)
}

/// Returns all findings, of this machine or of a control room.
fn all(args: &Args) -> Result<Vec<Finding>> {
    let Some(server) = &args.room.server else {
        return findings_of(&mut history_of(&args.reports.reports)?);
    };
    let path = "/api/v1/findings?all=true";
    let There { findings, why_not_kept } =
        RoomClient::of(server, &args.room)?.ask(&Method::GET, path, &[])?;
    if let Some(why) = why_not_kept {
        errln!("warning: the control room does not keep the findings beside the runs: {why}");
    }
    Ok(findings)
}

fn text(shown: &[&Finding], all: &[Finding], args: &Args) -> String {
    let open = all.iter().filter(|finding| finding.state == State::Open).count();
    if shown.is_empty() {
        let place = args.room.server.clone().unwrap_or_else(|| args.reports.reports.display().to_string());
        return match all.len() {
            0 => format!("no findings in {place}"),
            total => format!("none of the {total} findings in {place} matches; {open} are open"),
        };
    }
    let heads =
        ["finding", "state", "severity", "scenario", "what", "measured", "since", "runs", "owner", "ticket"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(shown.iter().map(|finding| cells(finding)));
    let mut text = table(rows);
    for finding in shown {
        if !finding.follow_up.is_empty() {
            text += &format!("\n  {}: follow-up: {}", finding.id, finding.follow_up);
        }
        // A note may have several lines.
        for (place, line) in finding.note.lines().enumerate() {
            let head =
                if place == 0 { format!("  {}:", finding.id) } else { " ".repeat(finding.id.len() + 3) };
            text += &format!("\n{head} {line}");
        }
    }
    text += &format!("\n\n{open} open of {}", all.len());
    text
}

/// Returns the cells of a finding's row.
fn cells(finding: &Finding) -> Vec<String> {
    let scenario = match &finding.environment {
        Some(environment) => format!("{} ({environment})", finding.scenario),
        None => finding.scenario.clone(),
    };
    // The first ten characters of a time are its date.
    let since = finding.opened.get(..10).unwrap_or(&finding.opened).to_owned();
    let state = match &finding.closed {
        Some(closed) => format!("closed {}", closed.get(..10).unwrap_or(closed)),
        None => finding.state.word().to_owned(),
    };
    // A finding about a guard has no objective. Its measured text is a long sentence, which findings.toml shows.
    let measured = if finding.objective.is_empty() { String::new() } else { finding.measured.clone() };
    vec![
        finding.id.clone(),
        state,
        finding.severity.map_or("", Severity::word).to_owned(),
        scenario,
        finding.what(),
        measured,
        since,
        finding.runs.to_string(),
        finding.owner.clone(),
        finding.ticket.clone(),
    ]
}
