//! Finds the run that a command is about, by folder, by log, or by id; and opens the history of a directory of runs.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use firedrill_history::{Finding, History, Results};
use firedrill_wire::RunId;

use super::failure::{Failure, Result, Wrap as _};
use crate::{
    log::{self, Event, Record},
    plan::Plan,
    report::Input,
};

/// The directory in which runs are, unless another is named.
pub(super) const REPORTS: &str = "reports";

/// The log in a run's folder.
pub(super) const LOG: &str = "events.jsonl";

/// Maximum size of a log's first record, in bytes.
const RECORD_MOST: u64 = 256 << 20;

/// From this number of logs on, a message says that they are read, because that takes some time.
const MANY: usize = 500;

/// The option that names the directory of runs.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ReportsArgs {
    /// The directory with the runs' folders
    #[arg(long, value_name = "DIR", default_value = REPORTS)]
    pub(super) reports: PathBuf,
}

impl ReportsArgs {
    /// Whether another directory than the usual one was given.
    pub(super) fn is_other(&self) -> bool {
        self.reports.as_os_str() != REPORTS
    }
}

/// Finds a run's log. `run` is the run's folder, its log, or its id in `reports`.
pub(super) fn log_of(run: &Path, reports: &Path) -> Result<PathBuf> {
    let tried = [run.to_path_buf(), run.join(LOG), reports.join(run).join(LOG)];
    tried.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        Failure::new(format!(
            "no run's log was found at {}, {} or {}",
            tried[0].display(),
            tried[1].display(),
            tried[2].display()
        ))
        .help(format!(
            "name a run's folder, its events.jsonl, or the id of a run under {}",
            reports.display()
        ))
    })
}

/// Reads a run's id and its plan, exactly as it was written, from the first record of its log.
pub(super) fn begun_of(log: &Path) -> Result<(RunId, Plan)> {
    let wrong = || format!("{} is not the log of a run", log.display());
    let file = File::open(log).wrap(wrong())?;
    let mut line = Vec::new();
    BufReader::new(file.take(RECORD_MOST))
        .read_until(b'\n', &mut line)
        .wrap(format!("cannot read {}", log.display()))?;
    match serde_json::from_slice::<Record>(&line).map(|record| record.event) {
        Ok(Event::RunStarted { run, plan, .. }) => Ok((run, *plan)),
        Ok(_) => Err(Failure::new(wrong())),
        Err(error) => Err(Failure::from(error).wrap(format!("cannot read {}", log.display()))),
    }
}

/// Judges a run from its log.
pub(super) fn results_of(run: &Path, reports: &Path) -> Result<Results> {
    let path = log_of(run, reports)?;
    let log = log::read(&path).wrap(format!("cannot judge {}", run.display()))?;
    for warning in &log.warnings {
        errln!("warning: {}: {warning}", path.display());
    }
    Ok(Results::of_log(&log))
}

/// Reads the results of the run that `gate` decides about, from its log or from its `report.json`. A file of baselines is an error.
pub(super) fn decided_of(run: &Path, reports: &Path) -> Result<Results> {
    if run.extension().is_none_or(|end| end != "json") {
        return results_of(run, reports);
    }
    let mut read = Results::all_of_json(&json_of(run)?, run)?;
    if let Some(results) = read.pop().filter(|results| read.is_empty() && results.is_report) {
        return Ok(results);
    }
    Err(Failure::new(format!("{} is a baseline, not a run", run.display()))
        .help("name a run, or the report.json that `firedrill run --json` prints; the baseline comes after --baseline"))
}

/// Reads the runs of a baseline. Each path is a run, or a JSON file: a `report.json`, or a file of `gate --write`, which may have several
/// runs. Returns each run once, in the order of time.
pub(super) fn baselines_of(paths: &[PathBuf], reports: &Path) -> Result<Vec<Results>> {
    let mut runs = Vec::new();
    for path in paths {
        if path.extension().is_none_or(|end| end != "json") {
            runs.push(results_of(path, reports)?);
        } else {
            runs.extend(Results::all_of_json(&json_of(path)?, path)?);
        }
    }
    Ok(Results::together(runs))
}

fn json_of(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Failure::from(error)
            .wrap(format!("cannot read {}", path.display()))
            .help("`firedrill gate RUN --write FILE.json` stores a baseline")
    })
}

/// Prints the number of logs before they are read, if there are many.
pub(super) fn begun(logs: usize) {
    if logs >= MANY {
        errln!("reading {logs} logs");
    }
}

/// Opens the history of a directory of runs. Prints a note if it has no index and each log was read.
pub(super) fn history_of(reports: &Path) -> Result<History> {
    let history = History::open(reports, begun).map_err(|error| {
        Failure::from(error)
            .help("runs are in ./reports unless `run --out` named another directory; name it by --reports")
    })?;
    if let Some(why) = history.why_memory() {
        errln!("note: each run was read, because there is no index beside them: {why}");
    }
    Ok(history)
}

/// Returns the directory that a run's folder is in; `None` if it cannot be found out.
pub(super) fn reports_of(folder: &Path) -> Option<PathBuf> {
    // Without a parent in its path, the folder is `.` or a single name, and its real path is looked up.
    match folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => Some(parent.to_path_buf()),
        None => Some(folder.canonicalize().ok()?.parent()?.to_path_buf()),
    }
}

/// Opens the history of the directory that a run's folder is in. `None` if that directory is not called `reports` and has no history yet:
/// nothing is written into directories that are not known to hold runs. Errors are printed.
pub(super) fn history_beside(folder: &Path) -> Option<History> {
    let parent = reports_of(folder)?;
    if parent.file_name().is_none_or(|name| name != REPORTS) && !History::is_there(&parent) {
        return None;
    }
    history_of(&parent).inspect_err(|failure| errln!("{}", failure.styled())).ok()
}

/// Returns the findings of a history. Prints a warning if they could not be written to the file beside the runs.
pub(super) fn findings_of(history: &mut History) -> Result<Vec<Finding>> {
    let findings = history.findings()?;
    if let Some(why) = findings.why_not_kept {
        errln!("warning: the findings are not kept beside the runs: {why}");
    }
    Ok(findings.all)
}

/// Writes the findings and the page over all runs anew. A failure is printed as a warning, and changes no verdict.
pub(super) fn refresh(history: &mut History) {
    let page = findings_of(history).and_then(|findings| Ok(history.write_page(&findings)?));
    if let Err(failure) = page {
        errln!("warning: {}", failure.styled());
    }
}

/// Adds the findings about a run's scenario and environment to the input of its reports. Without a readable history, adds none.
pub(super) fn with_findings<'a>(input: Input<'a>, history: Option<&mut History>) -> Input<'a> {
    let Some(Ok(findings)) = history.map(History::findings) else { return input };
    let is_about =
        |finding: &&Finding| finding.is_about(&input.card().name, input.environment(), input.started());
    let shown = findings.all.iter().filter(is_about).map(Finding::shown).collect();
    input.with_findings(shown)
}
