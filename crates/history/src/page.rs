//! Writes `index.html` beside the runs: all scenarios, their verdicts and scores over time, and open findings. The page needs no network and no script.
//!
//! The page stays small with any number of runs: it shows the newest, and counts the others.

mod chart;
#[cfg(test)]
mod tests;

use std::{fs, path::Path};

use firedrill_files::whole;
use firedrill_judge::{report::STYLE, score::format, verdict::Verdict};
use firedrill_wire::text::cleaned;
use minijinja::{Environment, Value, context, value::Serde};
use serde::Serialize;

use crate::{
    entry::Entry,
    error::HistoryError,
    filter::Filter,
    finding::{Finding, Severity, State},
    index::History,
    time::{day, minute},
    trend::{Scenario, by_scenario, once_each},
};

/// The name of the file in the directory of runs.
const FILE: &str = "index.html";
/// The text by which a page of firedrill is recognised. A page without it was written by another program or by a person.
const OURS: &str = "<meta name=\"generator\" content=\"firedrill\">";
/// Maximum number of scenarios that are shown with their runs.
const SCENARIOS: usize = 30;
/// Maximum number of further scenarios, which have one line each.
const OTHERS: usize = 300;
/// Maximum number of runs of a scenario in its chart.
const DRAWN: usize = 100;
/// Maximum number of runs of a scenario that have a row.
const ROWS: usize = 12;
/// Maximum number of findings that are shown.
const FINDINGS: usize = 100;
/// Maximum number of damaged folders that are shown.
const DAMAGED: usize = 20;
/// Maximum number of violated objectives that a row names.
const NAMED: usize = 3;
/// Maximum length of a text in a row, in characters.
const LETTERS: usize = 160;

/// The values of the template.
#[derive(Serialize)]
struct View {
    verdict: &'static str,
    glyph: &'static str,
    story: String,
    meta: Vec<(&'static str, String)>,
    findings: Vec<FindingView>,
    fewer_findings: String,
    scenarios: Vec<ScenarioView>,
    others: Vec<OtherView>,
    fewer_others: String,
    damaged: Vec<(String, String)>,
    fewer_damaged: String,
}

#[derive(Serialize)]
struct FindingView {
    id: String,
    scenario: String,
    what: String,
    measured: String,
    goal: String,
    since: String,
    seen_in: String,
    page: Option<String>,
    owner: String,
    ticket: String,
    severity: &'static str,
    follow_up: String,
    note: String,
}

#[derive(Serialize)]
struct ScenarioView {
    name: String,
    verdict: &'static str,
    glyph: &'static str,
    said: String,
    charted: String,
    chart: String,
    /// Whether an alert detected any of the runs below.
    alerts: bool,
    runs: Vec<RunView>,
    fewer: String,
}

#[derive(Serialize)]
struct RunView {
    time: String,
    run: String,
    page: Option<String>,
    verdict: &'static str,
    glyph: &'static str,
    score: String,
    detection: String,
    mitigation: String,
    recovery: String,
    violated: String,
}

#[derive(Serialize)]
struct OtherView {
    name: String,
    verdict: &'static str,
    glyph: &'static str,
    number: usize,
    last: String,
}

impl History {
    /// Writes `index.html` about the runs and their `findings`, and returns its path. An existing page that firedrill did not write is not
    /// replaced.
    ///
    /// # Errors
    /// The index cannot be used, or the page cannot be written.
    pub fn write_page(&mut self, findings: &[Finding]) -> Result<std::path::PathBuf, HistoryError> {
        let path = self.reports().join(FILE);
        let failed = |why: String| HistoryError::Page { path: path.clone(), why };
        if let Ok(old) = fs::read_to_string(&path)
            && !old.contains(OURS)
        {
            return Err(failed("there is a page that firedrill did not write".to_owned()));
        }
        let page = self.page(findings)?;
        whole::replace(&path, page.as_bytes(), whole::USUAL).map_err(|error| failed(error.to_string()))?;
        Ok(path)
    }

    fn page(&mut self, findings: &[Finding]) -> Result<String, HistoryError> {
        let entries = self.runs(&Filter::default())?;
        let view = View::of(self.reports(), &entries, findings);
        let path = self.reports().join(FILE);
        render(&view).map_err(|error| HistoryError::Page { path, why: error.to_string() })
    }
}

fn render(view: &View) -> Result<String, minijinja::Error> {
    let mut pages = Environment::new();
    pages.add_template("index.html", include_str!("page.html"))?;
    let style = format!("{STYLE}{}", include_str!("page.css"));
    let value = Value::from(Serde(view));
    pages.get_template("index.html")?.render(context! { view => value, style })
}

impl View {
    fn of(reports: &Path, entries: &[Entry], findings: &[Finding]) -> Self {
        let runs = once_each(entries);
        let mut sums = by_scenario(&runs);
        // Returns the verdict and the time of the newest run.
        let newest = |runs: &[&Entry]| {
            runs.last()
                .map_or((Verdict::Unknown, 0), |run| (run.verdict.unwrap_or(Verdict::Unknown), run.at_s))
        };
        // Violated scenarios come first, then the newest.
        sums.sort_by_key(|(_, runs)| std::cmp::Reverse(newest(runs)));
        let worst = sums.iter().map(|(_, runs)| newest(runs).0).max().unwrap_or(Verdict::Unknown);
        let open: Vec<&Finding> = findings.iter().filter(|finding| finding.state == State::Open).collect();
        let closed = findings.iter().filter(|finding| finding.state == State::Closed).count();
        let damaged: Vec<&Entry> = entries.iter().filter(|entry| entry.damage.is_some()).collect();
        let mut meta = vec![("scenarios", sums.len().to_string()), ("runs", runs.len().to_string())];
        if let (Some(first), Some(last)) = (runs.first(), runs.last()) {
            meta.push(("first run", day(first.at_s)));
            meta.push(("newest run (UTC)", minute(last.at_s)));
        }
        meta.push(("findings closed", closed.to_string()));
        if !damaged.is_empty() {
            meta.push(("folders that cannot be read", damaged.len().to_string()));
        }
        let known: std::collections::HashMap<&str, &str> =
            runs.iter().filter_map(|entry| Some((entry.run.as_deref()?, entry.folder.as_str()))).collect();
        let finding = |finding: &&Finding| FindingView {
            id: finding.id.clone(),
            scenario: match &finding.environment {
                Some(environment) => format!("{} ({environment})", finding.scenario),
                None => finding.scenario.clone(),
            },
            what: finding.what(),
            measured: short(&finding.measured),
            goal: short(&finding.goal),
            since: finding.opened.get(..10).unwrap_or(&finding.opened).to_owned(),
            seen_in: finding.seen_in.clone(),
            page: known.get(finding.seen_in.as_str()).and_then(|folder| page_of(reports, folder)),
            owner: finding.owner.clone(),
            ticket: finding.ticket.clone(),
            severity: finding.severity.map_or("", Severity::word),
            follow_up: finding.follow_up.clone(),
            note: short(&finding.note),
        };
        let others = &sums[SCENARIOS.min(sums.len())..];
        Self {
            verdict: worst.word(),
            glyph: worst.glyph(),
            story: story(&sums, open.len()),
            meta,
            findings: open.iter().take(FINDINGS).map(finding).collect(),
            fewer_findings: rest(open.len(), FINDINGS, "open findings", "firedrill findings"),
            scenarios: sums.iter().take(SCENARIOS).map(|(sum, runs)| scenario(reports, sum, runs)).collect(),
            others: others.iter().take(OTHERS).map(other).collect(),
            fewer_others: rest(others.len(), OTHERS, "scenarios", "firedrill history --flaky"),
            damaged: damaged
                .iter()
                .take(DAMAGED)
                .map(|entry| (short(&entry.folder), short(entry.damage.as_deref().unwrap_or_default())))
                .collect(),
            fewer_damaged: rest(damaged.len(), DAMAGED, "folders", "firedrill history --verdict damaged"),
        }
    }
}

/// Returns a sentence with the number of things that are shown and of all things; empty if all are shown. `command` shows all of them.
fn rest(total: usize, shown: usize, what: &str, command: &str) -> String {
    if total <= shown { String::new() } else { format!("{shown} of {total} {what}; {command} shows all.") }
}

/// Returns the sentences at the top of the page. `open` is the number of open findings.
fn story(sums: &[(Scenario, Vec<&Entry>)], open: usize) -> String {
    // Returns the number of scenarios whose newest run has a verdict.
    let newest = |wanted: Verdict| {
        sums.iter().filter(|(_, runs)| runs.last().and_then(|run| run.verdict) == Some(wanted)).count()
    };
    let count = |number: usize, singular: &str, plural: &str| match number {
        0 => format!("no {singular}"),
        1 => format!("1 {singular}"),
        number => format!("{number} {plural}"),
    };
    if sums.is_empty() {
        return "There is no run yet.".to_owned();
    }
    let (held, violated) = (newest(Verdict::Held), newest(Verdict::Violated));
    let unknown = sums.len() - held - violated;
    let parts = [(held, "held"), (violated, "violated"), (unknown, "unknown")];
    let said: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    format!(
        "Of {} the newest run ended: {}. There {} {}.",
        count(sums.len(), "scenario", "scenarios"),
        said.join(", "),
        if open == 1 { "is" } else { "are" },
        if open == 0 { "no open findings".to_owned() } else { count(open, "open finding", "open findings") }
    )
}

/// Returns the view of a scenario with its runs.
fn scenario(reports: &Path, sum: &Scenario, runs: &[&Entry]) -> ScenarioView {
    let drawn = &runs[runs.len().saturating_sub(DRAWN)..];
    let verdict = runs.last().and_then(|run| run.verdict).unwrap_or(Verdict::Unknown);
    let told = sum.held + sum.violated;
    let held = match sum.held_range {
        Some((low, high)) => format!(
            "held in {} of {told} that could tell; that shows {} to {} of runs like these",
            sum.held,
            format::percent(low),
            format::percent(high)
        ),
        None => "no run could tell".to_owned(),
    };
    let count = |wanted: Verdict| drawn.iter().filter(|run| run.verdict == Some(wanted)).count();
    let label = format!(
        "{}: of the newest {} runs {} held, {} violated, {} unknown; lowest score {}",
        sum.scenario,
        drawn.len(),
        count(Verdict::Held),
        count(Verdict::Violated),
        drawn.len() - count(Verdict::Held) - count(Verdict::Violated),
        drawn
            .iter()
            .filter_map(|run| run.score)
            .min()
            .map_or_else(|| "not known".to_owned(), |low| low.to_string())
    );
    ScenarioView {
        name: sum.scenario.clone(),
        verdict: verdict.word(),
        glyph: verdict.glyph(),
        said: held,
        charted: if drawn.len() < runs.len() {
            format!("the newest {} of {} runs", drawn.len(), runs.len())
        } else {
            String::new()
        },
        chart: chart::svg(drawn, &label),
        alerts: runs.iter().rev().take(ROWS).any(|entry| entry.times.detected_us.is_some()),
        runs: runs.iter().rev().take(ROWS).map(|entry| run(reports, entry)).collect(),
        fewer: rest(runs.len(), ROWS, "runs", &format!("firedrill history --scenario {}", sum.scenario)),
    }
}

/// Returns the row of a run.
fn run(reports: &Path, entry: &Entry) -> RunView {
    let mut violated: Vec<String> = entry.violated.iter().take(NAMED).map(|name| short(name)).collect();
    if entry.violated.len() > NAMED {
        violated.push(format!("and {} more", entry.violated.len() - NAMED));
    }
    RunView {
        time: minute(entry.at_s),
        run: entry.run.clone().unwrap_or_else(|| entry.folder.clone()),
        page: page_of(reports, &entry.folder),
        verdict: entry.ended_as(entry.is_running(reports)),
        glyph: entry.verdict.map_or("–", Verdict::glyph),
        score: entry.score.map_or_else(|| "—".to_owned(), |score| score.to_string()),
        detection: took(entry.times.detected_us),
        mitigation: took(entry.times.mitigated_us),
        recovery: took(entry.times.recovered_us),
        violated: violated.join(", "),
    }
}

/// Formats a time in microseconds; `—` if it is not known.
fn took(us: Option<i64>) -> String {
    us.map_or_else(|| "—".to_owned(), format::time)
}

/// Returns the line of a scenario that is shown without its runs.
fn other((sum, runs): &(Scenario, Vec<&Entry>)) -> OtherView {
    let verdict = runs.last().and_then(|run| run.verdict).unwrap_or(Verdict::Unknown);
    OtherView {
        name: sum.scenario.clone(),
        verdict: verdict.word(),
        glyph: verdict.glyph(),
        number: sum.runs,
        last: runs.last().map_or_else(String::new, |run| minute(run.at_s)),
    }
}

fn short(text: &str) -> String {
    cleaned(text.to_owned(), LETTERS)
}

/// Returns the address of a run's report, relative to this page; `None` if the run has no report.
fn page_of(reports: &Path, folder: &str) -> Option<String> {
    const PAGE: &str = "report.html";
    if !reports.join(folder).join(PAGE).is_file() {
        return None;
    }
    Some(format!("{}/{PAGE}", address(folder)))
}

/// Encodes a text for use as one part of an address.
#[must_use]
pub fn address(text: &str) -> String {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if safe(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
