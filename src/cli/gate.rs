//! `firedrill gate`: decides whether a run passes, alone or beside a baseline. Needs no host.

mod told;

use std::path::{Path, PathBuf};

use firedrill_files::whole;
use firedrill_history::{Results, gate};

use super::{
    failure::{Failure, Result},
    runs::{ReportsArgs, baseline_of, decided_of},
};
use crate::verdict::Exit;

/// Options of `gate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill gate reports/20261120-1402-friday-7f3a
  firedrill gate 20261120-1402-friday-7f3a --baseline main.json
  firedrill gate 20261120-1402-friday-7f3a --baseline 20261113-1400-friday-11aa --json
  firedrill gate 20261120-1402-friday-7f3a --write main.json     a baseline for later runs
  firedrill gate 20261120-1402-friday-7f3a --write main.json --objective users     compares that alone
  firedrill gate 20261120-1402-friday-7f3a --format text --format junit=gate.xml
  firedrill run scenarios/ci-gate.toml --fleet fleet.toml --json >report.json; firedrill gate report.json

A run fails that violated an objective, is worse than its baseline beyond chance (see `firedrill
compare`), lacks an objective of its baseline, or is unknown in anything. Each reason is a line.
A run that was refused, stopped, or left something behind fails whatever is allowed.

In CI, unless a format is named:
  GITHUB_ACTIONS=true   `--format github`: annotations, and a summary of the job in $GITHUB_STEP_SUMMARY
  GITLAB_CI=true        text, and the files gl-code-quality-report.json and firedrill-gate.xml (JUnit)

Exit codes:
  0 it passes · 1 violated or worse · 2 the run or baseline cannot be read · 3 unknown
  4, 5, 6 those of the run")]
pub(super) struct Args {
    /// The run: its folder, its events.jsonl, its id, or the report.json that `run --json` prints
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
    /// Keep only these objectives in the written baseline: later runs are not compared in others, such as those that differ between
    /// machines. May be given more than once
    #[arg(long, value_name = "NAME", requires = "write")]
    objective: Vec<String>,
    /// How to say it, and to which file instead of standard output; may be given more than once
    #[arg(long, value_name = "FORMAT[=FILE]", value_parser = told::Told::parse)]
    format: Vec<told::Told>,
    #[command(flatten)]
    reports: ReportsArgs,
    /// For machines: one JSON document on standard output; the same as `--format json`
    #[arg(long, conflicts_with = "format")]
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
    let run = decided_of(&args.run, reports)?;
    let baseline = args.baseline.as_deref().map(|path| baseline_of(path, reports)).transpose()?;
    if let Some(baseline) = &baseline {
        of_one_scenario(&run, baseline)?;
    }
    let (exit, decided) = gate(&run, baseline.as_ref(), args.allow_unknown);
    let wanted = told::wanted(&args.format, args.json)?;
    let decision = told::Decision { run: &run, baseline: baseline.as_ref(), decided: &decided, exit };
    // What cannot be written is told, and hides no verdict.
    let mut exit = exit;
    for one in &wanted {
        if let Err(failure) = decision.tell(one) {
            errln!("{}", failure.styled());
            exit = exit.worst(Exit::Usage);
        }
    }
    match &args.write {
        Some(path) if decided.exit == Exit::Held as u8 => keep(&run.only(&args.objective)?, path)?,
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

fn keep(run: &Results, path: &Path) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(run)?;
    bytes.push(b'\n');
    whole::replace(path, &bytes, whole::USUAL)
        .map_err(|error| Failure::from(error).wrap(format!("cannot write the baseline {}", path.display())))
}
