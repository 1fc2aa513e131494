//! `firedrill findings`: shows the violations that drills have found, whether later drills closed them, and who works on them. Needs no host.

use firedrill_history::{Finding, State};

use super::{
    failure::{Failure, Result},
    output::{print_json, table},
    runs::{ReportsArgs, findings_of, history_of, refresh},
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
  firedrill findings set f-3a91c2 --owner payments --ticket OPS-7

A run that violates an objective opens a finding, or adds to the one that is open. The next run of the
same scenario, in the same environment, in which that objective holds closes it. What is unknown does
neither. All of that follows from the runs. Owner, ticket and note stand in findings.toml beside the
runs, may be edited there too, and are kept. Exit code 0, whatever is open."
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
    reports: ReportsArgs,
    /// For machines: one JSON document on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Write a finding's owner, its ticket and a note
    Set(SetArgs),
}

/// Options of `findings set`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill findings set f-3a91c2 --owner payments --ticket https://tickets.example/OPS-7
  firedrill findings set f-3a91c2 --note 'the pool is too small; mended with release 41'
  firedrill findings set f-3a91c2 --owner ''            takes the owner away

An id may be cut short, as long as it names one finding. What is not named stays as it is. The index
page of the runs is written anew; pages of single runs show it when they are written next.")]
struct SetArgs {
    /// The finding
    id: String,
    /// The person or team that sees to it
    #[arg(long, value_name = "WHO", required_unless_present_any = ["ticket", "note"])]
    owner: Option<String>,
    /// The ticket in which it is worked on
    #[arg(long, value_name = "TICKET")]
    ticket: Option<String>,
    /// Anything else
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    reports: ReportsArgs,
    /// For machines: the finding as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// Prints the findings that the options select, or changes one.
pub(super) fn run(args: &Args) -> Result<Exit> {
    if let Some(Verb::Set(args)) = &args.verb {
        return set(args);
    }
    let mut history = history_of(&args.reports.reports)?;
    let findings = findings_of(&mut history)?;
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

/// Formats the findings `shown` as a table for people, with their notes; `all` are all findings of the directory, for the counts.
fn text(shown: &[&Finding], all: &[Finding], args: &Args) -> String {
    let open = all.iter().filter(|finding| finding.state == State::Open).count();
    if shown.is_empty() {
        let place = args.reports.reports.display();
        return match all.len() {
            0 => format!("no findings in {place}"),
            total => format!("none of the {total} findings in {place} matches; {open} are open"),
        };
    }
    let heads = ["finding", "state", "scenario", "what", "measured", "since", "runs", "owner", "ticket"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(shown.iter().map(|finding| cells(finding)));
    let mut text = table(rows);
    for finding in shown {
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
        scenario,
        finding.what(),
        measured,
        since,
        finding.runs.to_string(),
        finding.owner.clone(),
        finding.ticket.clone(),
    ]
}

/// Writes the options that were given into the finding, and prints it.
fn set(args: &SetArgs) -> Result<Exit> {
    let mut history = history_of(&args.reports.reports)?;
    let edited = history.edit_finding(&args.id, |finding| {
        for (field, given) in [
            (&mut finding.owner, &args.owner),
            (&mut finding.ticket, &args.ticket),
            (&mut finding.note, &args.note),
        ] {
            if let Some(given) = given {
                field.clone_from(given);
            }
        }
    });
    let edited = edited
        .map_err(|error| Failure::from(error).help("`firedrill findings --all` lists them with their ids"))?;
    if args.json {
        print_json(&edited)?;
    } else {
        let line = |name: &str, text: &str| {
            let text = if text.is_empty() { "—" } else { text };
            format!("  {name}: {text}")
        };
        outln!("{}  {}  {}", edited.id, edited.scenario, edited.what());
        outln!("{}", line("owner", &edited.owner));
        outln!("{}", line("ticket", &edited.ticket));
        outln!("{}", line("note", &edited.note));
    }
    refresh(&mut history);
    Ok(Exit::Held)
}
