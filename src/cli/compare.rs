//! `firedrill compare`: two runs side by side, objective by objective. Needs no host, and decides nothing.

use std::path::PathBuf;

use firedrill_history::{Change, Comparison, Plans, Results, Row, Side, compare};

use super::{
    failure::Result,
    output::{print_json, table},
    runs::{ReportsArgs, baseline_of},
};
use crate::verdict::Exit;

/// Options of `compare`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill compare 20261113-1400-friday-11aa 20261120-1402-friday-7f3a
  firedrill compare main.json reports/20261120-1402-friday-7f3a --json

`worse` and `better` are beyond chance: the 95 % ranges of the two figures, those that verdicts rest
on, do not overlap. That is about these two runs; a system that fails in bursts differs between runs
though nothing changed. What is unknown in either run is not compared. Exit code 0, whatever changed;
`firedrill gate` is for decisions.")]
pub(super) struct Args {
    /// The earlier run: its folder, its id, or a JSON file of it (report.json, or one of `gate --write`)
    before: PathBuf,
    /// The later run, in the same way
    after: PathBuf,
    #[command(flatten)]
    reports: ReportsArgs,
    /// For machines: one JSON document on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit> {
    let before = baseline_of(&args.before, &args.reports.reports)?;
    let after = baseline_of(&args.after, &args.reports.reports)?;
    let comparison = compare(&before, &after);
    if args.json {
        print_json(&serde_json::json!({
            "schema": 1, "before": before.head(), "after": after.head(), "comparison": comparison,
        }))?;
    } else {
        outln!("{}", text(&before, &after, &comparison));
    }
    Ok(Exit::Held)
}

fn text(before: &Results, after: &Results, comparison: &Comparison) -> String {
    let name = |run: &Results| run.run.clone().unwrap_or_else(|| "a run without an id".to_owned());
    let score =
        |run: &Results| run.score.map_or_else(|| "no score".to_owned(), |score| format!("score {score}"));
    let line = |which: &str, run: &Results| {
        format!("{which}  {}  {}  {}, {}", name(run), run.scenario, run.verdict, score(run))
    };
    let mut lines = vec![line("before", before), line("after ", after)];
    if before.scenario != after.scenario {
        lines.push("They are runs of different scenarios.".to_owned());
    }
    lines.push(
        match comparison.plans {
            Plans::Same => "The plans are the same, the seed aside.",
            Plans::Differ => "The plans differ: a change may come from that.",
            Plans::Unknown => "Whether the plans are the same is not known.",
        }
        .to_owned(),
    );
    lines.push(String::new());
    let mut rows = vec![["attack", "objective", "before", "after", "change"].map(str::to_owned).to_vec()];
    rows.extend(comparison.rows.iter().map(row));
    lines.push(table(rows));
    for one in &comparison.rows {
        if let Some(why) = &one.why {
            lines.push(format!("  {}, {}: {why}", one.attack, one.objective));
        }
    }
    let count = |change: Change| comparison.count(change);
    lines.push(String::new());
    lines.push(format!(
        "{} worse, {} better, {} without a difference beyond chance, {} not compared",
        count(Change::Worse),
        count(Change::Better),
        count(Change::Same),
        count(Change::Unknown) + count(Change::Added) + count(Change::Removed)
    ));
    lines.join("\n")
}

fn row(row: &Row) -> Vec<String> {
    let side = |side: Option<Side>| {
        side.map_or_else(|| "—".to_owned(), |side| format!("{} {}", side.verdict, side.figure()))
    };
    let change = row.change.word().to_owned();
    vec![row.attack.clone(), row.objective.clone(), side(row.before), side(row.after), change]
}
