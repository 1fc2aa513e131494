//! `firedrill gate`: decides whether a run passes, by itself or compared with a baseline. Needs no host.

mod told;

use std::path::{Path, PathBuf};

use firedrill_files::whole;
use firedrill_history::{ENOUGH, Results, compare_with, gate, kept};
use firedrill_wire::Share;

use super::{
    failure::{Failure, Result},
    runs::{ReportsArgs, baselines_of, decided_of},
};
use crate::verdict::Exit;

/// Options of `gate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill gate reports/20261120-1402-friday-7f3a
  firedrill gate 20261120-1402-friday-7f3a --baseline main.json
  firedrill gate 20261120-1402-friday-7f3a --baseline 20261113-1400-friday-11aa --json
  firedrill gate 20261120-1402-friday-7f3a --write main.json     a baseline for later runs
  firedrill gate 20261120-1402-friday-7f3a --baseline main.json --write main.json --runs 8
                                        compares with the last runs that passed, and adds this one
  firedrill gate 20261120-1402-friday-7f3a --write main.json --objective users     compares that alone
  firedrill gate 20261120-1402-friday-7f3a --format text --format junit=gate.xml
  firedrill run scenarios/ci-gate.toml --fleet fleet.toml --json >report.json; firedrill gate report.json

A run fails that violated an objective, is worse than its baseline beyond chance (see `firedrill
compare`), lacks an objective of its baseline, or is unknown in anything. Each reason is a line.
With five baseline runs or more, worse is what is worse than usual: beyond what those runs differ by,
and a margin.
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
    /// The baseline that it must not be worse than: a run, its report.json, or a file of `gate --write`. May be given more than once:
    /// five runs show what is usual
    #[arg(long, value_name = "RUN|FILE.json")]
    baseline: Vec<PathBuf>,
    /// With five baseline runs or more: the part of a figure by which it may be worse than usual; for a share, the part of its bad requests
    #[arg(long, value_name = "SHARE", default_value = "10%", requires = "baseline")]
    margin: Share,
    /// Report what is unknown, and let it pass
    #[arg(long)]
    allow_unknown: bool,
    /// Write the run's results to a file as a baseline, if it passes
    #[arg(long, value_name = "FILE.json", value_parser = json_file)]
    write: Option<PathBuf>,
    /// Number of runs to write to that file: the newest of the baseline, and this one
    #[arg(long, value_name = "N", requires = "write", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=100))]
    runs: u8,
    /// Keep only these objectives in the written baseline: later runs are not compared in others, such as those that differ between
    /// machines. May be given more than once
    #[arg(long, value_name = "NAME", requires = "write")]
    objective: Vec<String>,
    /// The format of the output, and a file to write it to instead of standard output; may be given more than once
    #[arg(long, value_name = "FORMAT[=FILE]", value_parser = told::Told::parse)]
    format: Vec<told::Told>,
    #[command(flatten)]
    reports: ReportsArgs,
    /// For machines: one JSON document on standard output; the same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// Reads the name of a baseline's file. It must end with `.json`, because that is how a baseline's file is told from a run's folder.
fn json_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(end) if end == "json" => Ok(path),
        _ => Err("the name must end with .json".to_owned()),
    }
}

/// Decides, prints the decision in each wanted format, and writes the baseline if the run passes.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let reports = &args.reports.reports;
    let run = decided_of(&args.run, reports)?;
    let mut baselines = baselines_of(&args.baseline, reports)?;
    of_one_scenario(&run, &mut baselines)?;
    let comparison = (!baselines.is_empty()).then(|| compare_with(&baselines, &run, args.margin.fraction()));
    let (exit, decided) = gate(&run, comparison, args.allow_unknown);
    let wanted = told::wanted(&args.format, args.json)?;
    let decision = told::Decision { run: &run, baselines: &baselines, decided: &decided, exit };
    // An output that cannot be written makes the exit code worse at most: it hides no verdict.
    let mut exit = exit;
    for output in &wanted {
        if let Err(failure) = decision.tell(output) {
            errln!("{}", failure.styled());
            exit = exit.worst(Exit::Usage);
        }
    }
    match &args.write {
        Some(path) if decided.exit == Exit::Held as u8 => {
            let mut runs = baselines;
            runs.push(run);
            keep(runs, args, path)?;
        }
        Some(path) => errln!("{} was not written: only a run that passes can be a baseline", path.display()),
        None => {}
    }
    Ok(exit)
}

/// Checks that the run and its baselines are of one scenario. Leaves the run itself out of the baselines if there are others.
fn of_one_scenario(run: &Results, baselines: &mut Vec<Results>) -> Result<()> {
    if let Some(other) = baselines.iter().find(|baseline| baseline.scenario != run.scenario) {
        return Err(Failure::new(format!(
            "the baseline is of scenario `{}`, and the run of `{}`",
            other.scenario, run.scenario
        ))
        .help("give a baseline of the same scenario"));
    }
    let is_same_run = |baseline: &Results| run.run.is_some() && run.run == baseline.run;
    match baselines.iter().filter(|baseline| is_same_run(baseline)).count() {
        0 => {}
        same if same == baselines.len() => {
            errln!("note: the baseline is this same run, so that nothing can be worse");
        }
        _ => {
            errln!("note: the baseline has this same run, too; it is left out");
            baselines.retain(|baseline| !is_same_run(baseline));
        }
    }
    if (2..ENOUGH).contains(&baselines.len()) {
        errln!(
            "note: {ENOUGH} baseline runs show what is usual; of these {}, worse is what is worse than each of them",
            baselines.len()
        );
    }
    Ok(())
}

/// Writes the last of `runs`, which passed, as a baseline, together with the newest of the baseline runs before it, as --runs allows.
fn keep(mut runs: Vec<Results>, args: &Args, path: &Path) -> Result<()> {
    let most = usize::from(args.runs);
    let Some(run) = runs.pop() else { return Ok(()) };
    // A baseline run that lacks one of the named objectives is kept as it is; for the new run that is an error.
    let only_named = |baseline: Results| baseline.clone().only(&args.objective).unwrap_or(baseline);
    runs = runs.into_iter().map(only_named).collect();
    runs.push(run.only(&args.objective)?);
    if most == 1 && runs.len() > 2 {
        errln!(
            "note: {} has this one run now; --runs {} would have kept those of the baseline",
            path.display(),
            runs.len()
        );
    }
    let bytes = kept(&runs, most)?;
    whole::replace(path, &bytes, whole::USUAL)
        .map_err(|error| Failure::from(error).wrap(format!("cannot write the baseline {}", path.display())))
}
