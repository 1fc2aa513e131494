//! The results of a run that comparisons need, and the files of baselines, which keep such results.

use std::{collections::BTreeSet, path::Path};

use firedrill_judge::{
    log::{Event, Log},
    score::{self, Scorecard, card::Measured, format},
    verdict::Verdict,
};
use firedrill_wire::text::{self, Breaks};
use serde::{Deserialize, Serialize};

use crate::{entry::unchanged, error::HistoryError, outcome::asked, times::Times};

/// The version of the format of a file with one run.
const VERSION: u32 = 1;
/// The version of the format of a file with several runs.
const VERSION_OF_SEVERAL: u32 = 2;
/// Maximum number of runs in a file.
const MOST: usize = 100;

/// The file of a baseline of several runs.
#[derive(Serialize, Deserialize)]
struct Several {
    /// The version of this format.
    baseline: u32,
    runs: Vec<Results>,
}

/// Returns the file of a baseline as JSON: the newest `keep` of these runs, each once, the newest last. If only one run is kept, the file has the
/// format for one run, which earlier versions can read.
///
/// # Errors
/// A serializer failed, which is a bug.
pub fn kept(runs: &[Results], keep: usize) -> serde_json::Result<Vec<u8>> {
    let ordered = in_order(runs.to_vec());
    let newest = &ordered[ordered.len().saturating_sub(keep.clamp(1, MOST))..];
    let mut bytes = match newest {
        [only] => serde_json::to_vec_pretty(only)?,
        several => {
            serde_json::to_vec_pretty(&Several { baseline: VERSION_OF_SEVERAL, runs: several.to_vec() })?
        }
    };
    bytes.push(b'\n');
    Ok(bytes)
}

/// Sorts runs by time and removes repeated ones. If any run has no time, the order stays as it was given.
fn in_order(runs: Vec<Results>) -> Vec<Results> {
    let mut ordered: Vec<Results> = Vec::new();
    for results in runs {
        if results.run.is_none() || ordered.iter().all(|other| other.run != results.run) {
            ordered.push(results);
        }
    }
    if ordered.iter().all(|results| results.started.is_some()) {
        ordered.sort_by(|left, right| left.started.cmp(&right.started));
    }
    ordered
}

/// The results of a run. Its JSON is the file of a baseline of one run; readers ignore fields that they do not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The version of this format.
    pub baseline: u32,
    /// The run's id.
    pub run: Option<String>,
    /// The scenario's name.
    pub scenario: String,
    /// Start of the run, RFC 3339 UTC.
    pub started: Option<String>,
    /// The version of Firedrill that ran it.
    pub firedrill: Option<String>,
    /// The plan's digest, as in reports.
    pub plan: Option<String>,
    /// The digest of the plan without its seed and the paths of files; see [`crate::Entry::same`].
    #[serde(default)]
    pub same: Option<String>,
    /// The run's verdict.
    pub verdict: Verdict,
    /// The run's exit code.
    pub exit: u8,
    /// The score, 0 to 100; `None` if the run has none.
    pub score: Option<u8>,
    /// Reasons why the run's verdict is not better.
    pub why: Vec<String>,
    /// The attacks, in the plan's order.
    pub attacks: Vec<AttackResult>,
    /// The path of the scenario's file, as the plan has it. It is not written into baselines.
    #[serde(skip)]
    pub file: Option<String>,
    /// Whether this was read from a `report.json`.
    #[serde(skip)]
    pub is_report: bool,
}

/// The result of an attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttackResult {
    /// Its name.
    pub name: String,
    /// Its verdict; `None` if it was not run.
    pub verdict: Option<Verdict>,
    /// Reasons why its verdict is not better.
    pub why: Vec<String>,
    /// The objectives that were judged.
    pub objectives: Vec<ObjectiveResult>,
    /// Its times to detect, to mitigate and to recover; unknown in baselines of earlier versions.
    #[serde(default)]
    pub times: Times,
}

/// The result of an objective in one attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveResult {
    /// Its name.
    pub name: String,
    /// Its probe.
    pub probe: String,
    /// The goal, in words.
    pub goal: String,
    /// The source and its question, if a source measures the objective; otherwise empty. Baselines of earlier versions do not have it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub asked: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The reason of the verdict, as a sentence.
    pub why: String,
    /// The figure of the worst vantage that counts.
    pub measured: Measured,
}

/// The identity of a run, and its result.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Head<'a> {
    /// The run's id.
    pub run: Option<&'a str>,
    /// The scenario's name.
    pub scenario: &'a str,
    /// Start of the run, RFC 3339 UTC.
    pub started: Option<&'a str>,
    /// The run's verdict.
    pub verdict: Verdict,
    /// The run's exit code.
    pub exit: u8,
    /// The score, 0 to 100; `None` if the run has none.
    pub score: Option<u8>,
    /// The plan's digest, as in reports.
    pub plan: Option<&'a str>,
}

/// The part of `report.json` that is needed here.
#[derive(Deserialize)]
struct Report {
    started: Option<String>,
    firedrill: Option<String>,
    plan: Option<PlanRef>,
    scorecard: Scorecard,
}

#[derive(Deserialize)]
struct PlanRef {
    digest: String,
    #[serde(default)]
    file: String,
}

impl Results {
    /// Judges a run by its log.
    #[must_use]
    pub fn of_log(log: &Log) -> Self {
        let mut results = Self::of_card(score::judge(log));
        let begun = log.records.iter().find_map(|record| match &record.event {
            Event::RunStarted { plan, wall, version, .. } => Some((plan, wall, version)),
            _ => None,
        });
        if let Some((plan, wall, version)) = begun {
            results.plan = Some(plan.digest());
            results.file = Some(plan.file.clone());
            results.same = Some(unchanged(&mut plan.clone()));
            results.started = Some(wall.clone());
            results.firedrill = Some(version.clone());
        }
        results
    }

    /// Joins the runs of several baselines: sorted by time, each run once.
    #[must_use]
    pub fn together(runs: Vec<Self>) -> Vec<Self> {
        in_order(runs)
    }

    /// Parses the file of a baseline of one run or of several, or the `report.json` of a run; `path` is for messages.
    ///
    /// # Errors
    /// It is neither, or a newer version of firedrill wrote it.
    pub fn all_of_json(bytes: &[u8], path: &Path) -> Result<Vec<Self>, HistoryError> {
        let bad = |why: String| HistoryError::NoBaseline { path: path.to_owned(), why };
        let value: serde_json::Value =
            text::from_json(bytes, Breaks::None).map_err(|error| bad(error.to_string()))?;
        if value.get("baseline").and_then(serde_json::Value::as_u64) != Some(u64::from(VERSION_OF_SEVERAL)) {
            return Ok(vec![Self::of_json(bytes, path)?]);
        }
        let several: Several = serde_json::from_value(value).map_err(|error| bad(error.to_string()))?;
        match several.runs.len() {
            0 => Err(bad("there is no run in it".to_owned())),
            1..=MOST => Ok(in_order(several.runs)),
            many => Err(bad(format!("there are {many} runs in it, and {MOST} are the most"))),
        }
    }

    /// Parses the file of a baseline of one run, or the `report.json` of a run; `path` is for messages. The texts in it are cleaned for terminals.
    ///
    /// # Errors
    /// It is neither, or a newer version of firedrill wrote it.
    pub fn of_json(bytes: &[u8], path: &Path) -> Result<Self, HistoryError> {
        let bad = |why: String| HistoryError::NoBaseline { path: path.to_owned(), why };
        let value: serde_json::Value =
            text::from_json(bytes, Breaks::None).map_err(|error| bad(error.to_string()))?;
        if value.get("scorecard").is_some() {
            let report: Report = serde_json::from_value(value).map_err(|error| bad(error.to_string()))?;
            if report.scorecard.schema > score::SCHEMA {
                return Err(bad("a newer version of firedrill wrote this report".to_owned()));
            }
            let mut results = Self::of_card(report.scorecard);
            results.started = report.started;
            results.firedrill = report.firedrill;
            results.is_report = true;
            if let Some(plan) = report.plan {
                results.plan = Some(plan.digest);
                results.file = Some(plan.file);
            }
            return Ok(results);
        }
        match value.get("baseline").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {
                serde_json::from_value(value).map_err(|error| bad(error.to_string()))
            }
            Some(version) if version == u64::from(VERSION_OF_SEVERAL) => {
                Err(bad("it is of several runs, and one is wanted".to_owned()))
            }
            Some(version) => Err(bad(format!(
                "its format is {version}, and this firedrill reads {VERSION} and {VERSION_OF_SEVERAL}"
            ))),
            None => Err(bad("it has neither `baseline` nor `scorecard`".to_owned())),
        }
    }

    /// Keeps only the objectives with these names. If no names are given, keeps all objectives.
    ///
    /// # Errors
    /// No objective has one of the names.
    pub fn only(mut self, names: &[String]) -> Result<Self, HistoryError> {
        let known: BTreeSet<&str> = self
            .attacks
            .iter()
            .flat_map(|attack| &attack.objectives)
            .map(|objective| objective.name.as_str())
            .collect();
        if let Some(name) = names.iter().find(|name| !known.contains(name.as_str())) {
            let known: Vec<String> = known.into_iter().map(str::to_owned).collect();
            return Err(HistoryError::NoObjective { name: name.clone(), known: format::list(&known) });
        }
        if !names.is_empty() {
            for attack in &mut self.attacks {
                attack.objectives.retain(|objective| names.contains(&objective.name));
            }
        }
        Ok(self)
    }

    /// Returns the identity and the result of the run, for output to programs.
    #[must_use]
    pub fn head(&self) -> Head<'_> {
        Head {
            run: self.run.as_deref(),
            scenario: &self.scenario,
            started: self.started.as_deref(),
            verdict: self.verdict,
            exit: self.exit,
            score: self.score,
            plan: self.plan.as_deref(),
        }
    }

    /// Takes the results from a scorecard. Facts that only the log has are `None`.
    fn of_card(card: Scorecard) -> Self {
        let attacks = card.attacks.into_iter().map(|attack| AttackResult {
            times: Times::of_attack(&attack),
            name: attack.name,
            verdict: attack.verdict,
            why: attack.why,
            objectives: attack
                .objectives
                .into_iter()
                .map(|objective| ObjectiveResult {
                    asked: asked(&objective).unwrap_or_default(),
                    name: objective.name,
                    probe: objective.probe,
                    goal: objective.goal,
                    verdict: objective.verdict,
                    why: objective.why,
                    measured: objective.measured,
                })
                .collect(),
        });
        Self {
            baseline: VERSION,
            run: card.run,
            scenario: card.name,
            started: None,
            firedrill: None,
            plan: None,
            same: None,
            verdict: card.verdict,
            exit: card.exit,
            score: card.score,
            why: card.why,
            attacks: attacks.collect(),
            file: None,
            is_report: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, compare};
    use firedrill_judge::{
        report::{Format, Input},
        testing::Drill,
    };

    #[test]
    fn a_baseline_and_a_report_are_read_back() {
        let log = Log::of(&Drill::one().records());
        let results = Results::of_log(&log);
        let path = Path::new("main.json");
        let json = serde_json::to_vec(&results).unwrap();
        let read = Results::of_json(&json, path).unwrap();
        assert_eq!(read.head(), results.head());
        assert_eq!(read.same, results.same);
        let objectives = results.attacks[0].objectives.len();
        // A number read back may differ in its last digit.
        assert_eq!(compare(&results, &read).count(Change::Same), objectives);
        let report = Format::Json.render(&Input::new(&log)).unwrap();
        let read = Results::of_json(&report, path).unwrap();
        assert_eq!(compare(&results, &read).count(Change::Same), objectives);
        assert_eq!((read.plan, read.same), (results.plan, None), "a report has no digest without the seed");
    }

    #[test]
    fn several_runs_are_read_back_in_the_order_of_time_and_each_once() {
        let run_at = |run: &str, started: &str| {
            let mut results = Results::of_log(&Log::of(&Drill::one().records()));
            (results.run, results.started) = (Some(run.to_owned()), Some(started.to_owned()));
            results
        };
        let runs = [
            run_at("b", "2026-11-02T00:00:00Z"),
            run_at("a", "2026-11-01T00:00:00Z"),
            run_at("b", "2026-11-02T00:00:00Z"),
        ];
        let path = Path::new("main.json");
        let read = |keep: usize| Results::all_of_json(&kept(&runs, keep).unwrap(), path).unwrap();
        let names =
            |runs: Vec<Results>| runs.into_iter().filter_map(|results| results.run).collect::<Vec<_>>();
        assert_eq!(
            (names(read(5)), names(read(1))),
            (vec!["a".to_owned(), "b".to_owned()], vec!["b".to_owned()])
        );
        let old = Results::of_json(&kept(&runs, 1).unwrap(), path).expect("earlier versions read one run");
        assert_eq!(old.baseline, 1);
        let said = Results::of_json(&kept(&runs, 5).unwrap(), path).unwrap_err().to_string();
        assert!(said.contains("several runs"), "{said}");
        let none = Results::all_of_json(b"{\"baseline\": 2, \"runs\": []}", path).unwrap_err().to_string();
        assert!(none.contains("no run in it"), "{none}");
    }

    #[test]
    fn anything_else_is_no_baseline() {
        let said =
            |text: &str| Results::of_json(text.as_bytes(), Path::new("main.json")).unwrap_err().to_string();
        assert!(said("{}").contains("main.json is no baseline: it has neither"));
        assert!(said("{\"baseline\": 9}").contains("its format is 9"));
        assert!(said("{\"baseline\": 1}").contains("missing field"));
        assert!(said("no").contains("no baseline"));
    }
}
