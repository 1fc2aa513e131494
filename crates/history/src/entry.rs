//! An entry of the history: the facts about one run, read and judged from its log.

use std::{
    error::Error,
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use firedrill_judge::{
    log::{self, Event, Log},
    score::{self, Scorecard},
    verdict::{Exit, Verdict},
};
use firedrill_plan::plan::Plan;
use firedrill_wire::text;
use serde::{Deserialize, Serialize};

use crate::{outcome::Told, scan::LOG, time::parsed, times::Times};

/// One run, or the folder of a run that cannot be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The folder's name.
    pub folder: String,
    /// The time by which runs are sorted, in seconds since 1970. It is the run's start, or, if that cannot be read, the time of the last change of the
    /// log or folder.
    pub at_s: i64,
    /// The reason why the folder cannot be judged as a run; `None` if it can.
    pub damage: Option<String>,
    /// The run's id.
    pub run: Option<String>,
    /// The scenario's name.
    pub scenario: Option<String>,
    /// Start of the run, RFC 3339 UTC, as the log has it.
    pub started: Option<String>,
    /// The environment of the plan.
    pub environment: Option<String>,
    /// The person who ran it.
    pub operator: Option<String>,
    /// The version of Firedrill that ran it.
    pub firedrill: Option<String>,
    /// Number of the try, from 1.
    pub attempt: u32,
    /// The run's verdict.
    pub verdict: Option<Verdict>,
    /// The run's exit code.
    pub exit: Option<u8>,
    /// The score, 0 to 100; `None` if the run has none.
    pub score: Option<u8>,
    /// The longest times of all attacks that ran. A time is `None` if an attack does not have it.
    #[serde(flatten)]
    pub times: Times,
    /// The violated objectives, as `attack: objective`.
    pub violated: Vec<String>,
    /// The plan's digest, as in reports.
    pub plan: Option<String>,
    /// The digest of the plan without its seed and the paths of files. It stays equal while the plan is unchanged.
    pub same: Option<String>,
    /// The digest of the scenario's files before parameters and fleet ([`Plan::files`]); older logs do not have it.
    pub files: Option<String>,
    /// Whether the log is complete: it has the record of the run's end.
    pub ended: bool,
    /// Number of attacks that ran.
    pub ran: usize,
    /// Number of attacks in the plan.
    pub planned: usize,
}

impl Entry {
    /// Reads and judges the run in a folder. Also returns the outcomes that findings need.
    pub(crate) fn read(folder: &Path, name: &str) -> (Self, Told) {
        let path = folder.join(LOG);
        // Reading a pipe or a device of this name could block.
        if !path.is_file() {
            return (Self::damaged(folder, name, format!("there is no {LOG} in it")), Told::default());
        }
        match log::read(&path) {
            Ok(log) => Self::of(folder, name, log),
            Err(error) => {
                let mut why = error.to_string();
                let mut source = error.source();
                while let Some(cause) = source {
                    why.push_str(&format!(": {cause}"));
                    source = cause.source();
                }
                // The path is replaced by the file's name, because the directory may have another path when the index is read later.
                let why = why.replace(&path.display().to_string(), LOG);
                (Self::damaged(folder, name, why), Told::default())
            }
        }
    }

    /// Judges a log that was read.
    fn of(folder: &Path, name: &str, mut log: Log) -> (Self, Told) {
        let card = score::judge(&log);
        let mut entry = Self::damaged(folder, name, String::new());
        let begun = log.records.iter_mut().find_map(|record| match &mut record.event {
            Event::RunStarted { plan, wall, operator, version, attempt, .. } => {
                Some((plan, wall, operator, version, *attempt))
            }
            _ => None,
        });
        let Some((plan, wall, operator, version, attempt)) = begun else {
            entry.damage = Some("its log does not begin with a plan".to_owned());
            return (entry, Told::default());
        };
        entry.damage = None;
        entry.environment.clone_from(&plan.environment);
        entry.plan = Some(plan.digest());
        entry.same = Some(unchanged(plan));
        entry.files = plan.files.take();
        entry.at_s = parsed(wall).unwrap_or(entry.at_s);
        entry.started = Some(std::mem::take(wall));
        entry.operator = Some(std::mem::take(operator));
        entry.firedrill = Some(std::mem::take(version));
        entry.attempt = attempt;
        entry.ended = log.records.iter().any(|record| matches!(record.event, Event::RunEnded { .. }));
        entry.run.clone_from(&card.run);
        entry.scenario = Some(card.name.clone());
        entry.verdict = Some(card.verdict);
        entry.exit = Some(card.exit);
        entry.score = card.score;
        entry.times = Times::of_run(&card);
        entry.violated = violated(&card);
        (entry.ran, entry.planned) = (card.ran, card.planned);
        let told = Told::of(&card, entry.environment.clone(), entry.ended);
        (entry, told)
    }

    /// Returns the entry of a folder that cannot be judged.
    fn damaged(folder: &Path, name: &str, why: String) -> Self {
        Self {
            folder: name.to_owned(),
            at_s: changed(&folder.join(LOG)).or_else(|| changed(folder)).unwrap_or(0),
            // The message of a parser may quote text from the log.
            damage: Some(text::cleaned(why, text::TEXT_MOST)),
            run: None,
            scenario: None,
            started: None,
            environment: None,
            operator: None,
            firedrill: None,
            attempt: 1,
            verdict: None,
            exit: None,
            score: None,
            times: Times::default(),
            violated: Vec::new(),
            plan: None,
            same: None,
            files: None,
            ended: false,
            ran: 0,
            planned: 0,
        }
    }

    /// Whether a run without an end still goes on: a program that writes a log keeps it locked.
    #[must_use]
    pub fn is_running(&self, reports: &Path) -> bool {
        !self.ended && log::is_written(&reports.join(&self.folder).join(LOG))
    }

    /// Returns the result of the run in a word. It is the verdict, unless the exit code says something more important, such as `refused` or `stopped`.
    #[must_use]
    pub fn ended_as(&self, running: bool) -> &'static str {
        if running {
            return "running";
        }
        self.exit.and_then(|code| Exit::of_code(code).above()).unwrap_or_else(|| self.word())
    }

    /// Returns the verdict in a word: `held`, `violated`, `unknown`, or `damaged`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self.verdict {
            Some(verdict) => verdict.word(),
            None => "damaged",
        }
    }
}

/// Removes the seed and the paths of files from a plan, and returns its digest ([`Entry::same`]).
pub(crate) fn unchanged(plan: &mut Plan) -> String {
    plan.seed = 0;
    plan.forget_paths();
    plan.digest()
}

/// Returns the time of the last change of a file or folder, in seconds since 1970.
fn changed(path: &Path) -> Option<i64> {
    let time: SystemTime = fs::metadata(path).ok()?.modified().ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// Returns the violated objectives, each as `attack: objective`.
fn violated(card: &Scorecard) -> Vec<String> {
    let of_attack = |attack: &score::card::AttackCard| {
        let name = attack.name.clone();
        let violated = attack.objectives.iter().filter(|objective| objective.verdict == Verdict::Violated);
        violated.map(move |objective| format!("{name}: {}", objective.name)).collect::<Vec<_>>()
    };
    card.attacks.iter().flat_map(of_attack).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Sample, sample};

    #[test]
    fn an_entry_has_the_facts_of_the_scorecard() {
        let reports = tempfile::tempdir().unwrap();
        sample(&reports.path().join("one"), &Sample { bad: 40, ..Sample::default() });
        let (entry, _) = Entry::read(&reports.path().join("one"), "one");
        assert_eq!(entry.damage, None);
        assert_eq!(entry.verdict, Some(Verdict::Violated));
        assert_eq!(entry.exit, Some(1));
        assert_eq!(entry.scenario.as_deref(), Some("friday"));
        assert_eq!(entry.violated, ["stop checkout: users"]);
        assert!(entry.ended && entry.times.recovered_us.is_some(), "{entry:?}");
    }

    #[test]
    fn the_digest_same_does_not_depend_on_the_seed() {
        let reports = tempfile::tempdir().unwrap();
        let read = |name: &str, sample_of: &Sample| {
            sample(&reports.path().join(name), sample_of);
            Entry::read(&reports.path().join(name), name).0
        };
        let one = read("one", &Sample::default());
        let other = read("two", &Sample { seed: 8, ..Sample::default() });
        assert_ne!(one.plan, other.plan, "reports tell them apart");
        assert_eq!(one.same, other.same);
        let changed = read("three", &Sample { meta: "OPS-8", ..Sample::default() });
        assert_ne!(one.same, changed.same);
    }

    #[test]
    fn a_folder_that_cannot_be_read_gives_a_damaged_entry() {
        let reports = tempfile::tempdir().unwrap();
        let folder = reports.path().join("one");
        fs::create_dir(&folder).unwrap();
        assert!(Entry::read(&folder, "one").0.damage.unwrap().contains("no events.jsonl"));
        fs::write(folder.join(LOG), "{\"v\":1,\nnothing\n").unwrap();
        assert!(Entry::read(&folder, "one").0.damage.unwrap().contains("line 1"));
        fs::write(folder.join(LOG), "").unwrap();
        assert!(Entry::read(&folder, "one").0.damage.unwrap().contains("does not begin with a plan"));
    }
}
