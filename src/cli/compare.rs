//! `firedrill compare`: two runs side by side, objective by objective. Needs no host, and decides nothing.

use std::path::PathBuf;

use firedrill_history::{Change, Comparison, ENOUGH, Plans, Results, Row, Side, compare_with};
use firedrill_wire::Share;

use super::{
    failure::{Failure, Result},
    output::{print_json, table},
    runs::{ReportsArgs, baselines_of},
};
use crate::{score::format, verdict::Exit};

/// Options of `compare`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill compare 20261113-1400-friday-11aa 20261120-1402-friday-7f3a
  firedrill compare main.json reports/20261120-1402-friday-7f3a --json
  firedrill compare RUN1 RUN2 RUN3 RUN4 RUN5 RUN6      the last beside what is usual in the others

`worse` and `better` are beyond chance: the 95 % ranges of the two figures, those that verdicts rest
on, do not overlap. That is about these two runs; a system that fails in bursts differs between runs
though nothing changed. From five earlier runs on, they are beyond what is usual: the range in which one
more run would be, by how those differ, and a margin. What is unknown in either run is not compared. Exit code 0, whatever changed;
`firedrill gate` is for decisions.")]
pub(super) struct Args {
    /// The earlier run, or several of them, and last the later run: each its folder, its id, or a JSON file (report.json, or one of
    /// `gate --write`)
    #[arg(required = true, num_args = 2.., value_name = "RUN|FILE.json")]
    runs: Vec<PathBuf>,
    /// With five earlier runs or more: how much worse than usual a figure may be, as a part of it; for a share, of that of bad requests
    #[arg(long, value_name = "SHARE", default_value = "10%")]
    margin: Share,
    #[command(flatten)]
    reports: ReportsArgs,
    /// For machines: one JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// Prints the comparison. The exit code does not depend on what changed.
pub(super) fn run(args: &Args) -> Result<Exit> {
    // Both parts exist, because the options ask for two runs at least.
    let Some((last, earlier)) = args.runs.split_last() else { return Ok(Exit::Usage) };
    let reports = &args.reports.reports;
    let mut baselines = baselines_of(earlier, reports)?;
    let mut later = baselines_of(std::slice::from_ref(last), reports)?;
    let Some(after) = later.pop().filter(|_| later.is_empty()) else {
        return Err(Failure::new(format!(
            "{} has several runs, and the later side must be a single run",
            last.display()
        ))
        .help("name the earlier runs first, and the later one last"));
    };
    // Of several baselines, the later run itself is left out.
    if baselines.len() > 1 {
        baselines.retain(|baseline| baseline.run.is_none() || baseline.run != after.run);
    }
    let Some(before) = baselines.last() else { return Ok(Exit::Usage) };
    let comparison = compare_with(&baselines, &after, args.margin.fraction());
    if args.json {
        print_json(&serde_json::json!({
            "schema": 1, "before": before.head(), "after": after.head(), "comparison": comparison,
            "baselines": baselines.iter().map(Results::head).collect::<Vec<_>>(),
        }))?;
    } else {
        outln!("{}", text(&baselines, &after, &comparison));
    }
    Ok(Exit::Held)
}

/// Formats a comparison for people: the runs, a table of objectives, a table of recovery times, and a line of counts.
fn text(baselines: &[Results], after: &Results, comparison: &Comparison) -> String {
    let name = |run: &Results| run.run.clone().unwrap_or_else(|| "a run without an id".to_owned());
    let score =
        |run: &Results| run.score.map_or_else(|| "no score".to_owned(), |score| format!("score {score}"));
    let line = |which: &str, run: &Results| {
        format!("{which}  {}  {}  {}, {}", name(run), run.scenario, run.verdict, score(run))
    };
    let mut lines: Vec<String> = baselines.iter().map(|before| line("before", before)).collect();
    lines.push(line("after ", after));
    if baselines.iter().any(|before| before.scenario != after.scenario) {
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
    let few = comparison.rows.iter().filter_map(|row| row.usual).any(|usual| !usual.enough);
    if baselines.len() > 1 && few {
        lines.push(format!(
            "{ENOUGH} runs in which a figure is known show what is usual; of fewer, worse is what is worse than each of them."
        ));
    }
    lines.push(String::new());
    let before = if baselines.len() > 1 { "usual, or newest before" } else { "before" };
    let mut rows = vec![["attack", "objective", before, "after", "change"].map(str::to_owned).to_vec()];
    rows.extend(comparison.rows.iter().map(cells));
    lines.push(table(rows));
    for row in &comparison.rows {
        if let Some(why) = &row.why {
            lines.push(format!("  {}, {}: {why}", row.attack, row.objective));
        }
    }
    let mut times = vec![["attack", "time to", "before", "after"].map(str::to_owned).to_vec()];
    let time = |us: Option<i64>| us.map_or_else(|| "—".to_owned(), format::time);
    for attack in &comparison.times {
        let both = attack.before.all().into_iter().zip(attack.after.all());
        let known = both.filter(|((_, before), (_, after))| before.is_some() || after.is_some());
        for ((milestone, before), (_, after)) in known {
            times.push(vec![attack.attack.clone(), milestone.to_owned(), time(before), time(after)]);
        }
    }
    if times.len() > 1 {
        lines.extend([String::new(), table(times)]);
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

/// Returns the cells of an objective's row.
fn cells(row: &Row) -> Vec<String> {
    let side = |side: Option<Side>| {
        side.map_or_else(|| "—".to_owned(), |side| format!("{} {}", side.verdict, side.figure()))
    };
    let change = row.change.word().to_owned();
    vec![row.attack.clone(), row.objective.clone(), side(row.before), side(row.after), change]
}
