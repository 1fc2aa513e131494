//! `firedrill gate`: decides whether a run passes, alone or beside a baseline. Needs no host.

use std::path::{Path, PathBuf};

use firedrill_files::whole;
use firedrill_history::{Gate, Results, gate};

use super::{
    failure::{Failure, Result},
    output::print_json,
    runs::{ReportsArgs, baseline_of, results_of},
};
use crate::verdict::Exit;

/// Options of `gate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill gate reports/20261120-1402-friday-7f3a
  firedrill gate 20261120-1402-friday-7f3a --baseline main.json
  firedrill gate 20261120-1402-friday-7f3a --baseline 20261113-1400-friday-11aa --json
  firedrill gate 20261120-1402-friday-7f3a --write main.json     a baseline for later runs

A run fails that violated an objective, is worse than its baseline beyond chance (see `firedrill
compare`), lacks an objective of its baseline, or is unknown in anything. Each reason is a line.
A run that was refused, stopped, or left something behind fails whatever is allowed.

Exit codes:
  0 it passes · 1 violated or worse · 2 the run or baseline cannot be read · 3 unknown
  4, 5, 6 those of the run")]
pub(super) struct Args {
    /// The run: its folder, its events.jsonl, or its id
    run: PathBuf,
    /// What it must not be worse than: a run, its report.json, or a file of `gate --write`
    #[arg(long, value_name = "RUN|FILE.json")]
    baseline: Option<PathBuf>,
    /// What is unknown is told, and does not fail the gate
    #[arg(long)]
    allow_unknown: bool,
    /// Write the run's results to a file as a baseline, if it passes
    #[arg(long, value_name = "FILE.json", value_parser = json_file)]
    write: Option<PathBuf>,
    #[command(flatten)]
    reports: ReportsArgs,
    /// For machines: one JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// A baseline is told from a run by the end of its name.
fn json_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(end) if end == "json" => Ok(path),
        _ => Err("the name must end with .json".to_owned()),
    }
}

pub(super) fn run(args: &Args) -> Result<Exit> {
    let reports = &args.reports.reports;
    let run = results_of(&args.run, reports)?;
    let baseline = args.baseline.as_deref().map(|path| baseline_of(path, reports)).transpose()?;
    if let Some(baseline) = &baseline {
        of_one_scenario(&run, baseline)?;
    }
    let (exit, decided) = gate(&run, baseline.as_ref(), args.allow_unknown);
    if args.json {
        print_json(&serde_json::json!({
            "schema": 1, "passes": exit == Exit::Held, "exit": decided.exit, "run": run.head(),
            "baseline": baseline.as_ref().map(Results::head), "reasons": decided.reasons, "comparison": decided.comparison,
        }))?;
    } else {
        outln!("{}", text(exit, &decided));
    }
    match &args.write {
        Some(path) if exit == Exit::Held => keep(&run, path)?,
        Some(path) => errln!("{} was not written: only a run that passes can be a baseline", path.display()),
        None => {}
    }
    Ok(exit)
}

fn of_one_scenario(run: &Results, baseline: &Results) -> Result<()> {
    if run.scenario != baseline.scenario {
        return Err(Failure::new(format!(
            "the baseline is of scenario `{}`, and the run of `{}`",
            baseline.scenario, run.scenario
        ))
        .help("give a baseline of the same scenario"));
    }
    if run.run.is_some() && run.run == baseline.run {
        errln!("note: the baseline is this same run, so that nothing can be worse");
    }
    Ok(())
}

fn text(exit: Exit, decided: &Gate) -> String {
    let mut lines: Vec<String> = decided
        .reasons
        .iter()
        .map(|reason| {
            let allowed = if reason.allowed { " (allowed)" } else { "" };
            format!("{}{allowed}: {}", reason.kind.word(), reason.text)
        })
        .collect();
    lines.push(match exit {
        Exit::Held => "passes".to_owned(),
        exit => format!("fails, exit code {}", exit as u8),
    });
    lines.join("\n")
}

fn keep(run: &Results, path: &Path) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(run)?;
    bytes.push(b'\n');
    whole::replace(path, &bytes, whole::USUAL)
        .map_err(|error| Failure::from(error).wrap(format!("cannot write the baseline {}", path.display())))
}
