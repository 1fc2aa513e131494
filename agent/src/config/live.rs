//! The configuration's file while an agent runs. A changed policy applies at once; all other changes are reported as
//! needing a restart.
//!
//! While the file is invalid, the agent injects nothing, because it does not know what the file is meant to forbid. Healing
//! never depends on these rules.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use firedrill_wire::{
    RefusalCode,
    api::{Finding, Grade, Problem},
};

use super::{Config, ConfigError, Rules, rules::KEYS};
use crate::injection::refuse;

/// A file that was changed within this time may be half written, so the previous rules apply, too.
const SETTLED: Duration = Duration::from_secs(1);
/// The advice for changed keys that only a restart applies.
const RESTART: &str = "restart the agent to use them";

/// The configuration's file. Each call reads it again, to see changes.
#[derive(Debug)]
pub struct Live {
    file: PathBuf,
    /// The file's text when the agent started.
    started: String,
    applied: Mutex<Applied>,
}

/// The last text whose rules were applied, and these rules.
#[derive(Debug)]
struct Applied {
    text: String,
    rules: Arc<Rules>,
}

impl Live {
    /// Begins with the configuration with which the agent started.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let applied = Applied { text: config.text.clone(), rules: Arc::new(Rules::of(config)) };
        Self { file: config.file.clone(), started: config.text.clone(), applied: Mutex::new(applied) }
    }

    /// Returns the rules that must all allow an act: those of the file, and for a second after a change also the previous
    /// ones. If the file is gone, the last rules still apply.
    ///
    /// # Errors
    /// The file exists, and cannot be read or is invalid. The error is the refusal for the caller.
    pub fn rules(&self) -> Result<Vec<Arc<Rules>>, Problem> {
        let mut applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        let text = match std::fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(vec![Arc::clone(&applied.rules)]);
            }
            Err(source) => return Err(refusal(&ConfigError::Read { file: self.file.clone(), source })),
        };
        if text == applied.text {
            return Ok(vec![Arc::clone(&applied.rules)]);
        }
        let parsed = Config::parse(&text, &self.file).map_err(|error| refusal(&error))?;
        let new = Arc::new(Rules::of(&parsed));
        let age = std::fs::metadata(&self.file).and_then(|data| data.modified()).map(|when| when.elapsed());
        if matches!(age, Ok(Ok(age)) if age < SETTLED) {
            return Ok(vec![new, Arc::clone(&applied.rules)]);
        }
        if *new != *applied.rules {
            tracing::info!(
                "environment, policy or secrets have changed in {}; the new values apply from now on",
                self.file.display()
            );
        }
        *applied = Applied { text, rules: Arc::clone(&new) };
        Ok(vec![new])
    }

    /// Returns the rules that were applied last, even if the file is invalid now.
    #[must_use]
    pub fn last_good(&self) -> Arc<Rules> {
        Arc::clone(&self.applied.lock().unwrap_or_else(PoisonError::into_inner).rules)
    }

    /// Returns the problem of the file, or the keys that need a restart, as one sentence. Empty if the file is in use.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let finding = self.finding();
        if finding.grade == Grade::Good {
            Vec::new()
        } else {
            vec![format!("{}; {}", finding.detail, finding.hint)]
        }
    }

    /// Returns the findings for `doctor`: whether the running agent uses the file, and those of [`Rules::findings`].
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = vec![self.finding()];
        findings.extend(self.last_good().findings(&self.file));
        findings
    }

    /// Returns the finding for `doctor` on whether the running agent uses the file.
    #[must_use]
    pub fn finding(&self) -> Finding {
        let file = self.file.display();
        if let Err(problem) = self.rules() {
            return finding(Grade::Bad, problem.title, problem.hint);
        }
        let text = std::fs::read_to_string(&self.file);
        if text.is_err() && !self.started.is_empty() {
            let detail = format!("{file} is gone; the agent goes on with its last content");
            return finding(Grade::Note, detail, "put it back, or restart the agent without it".to_owned());
        }
        needs_restart(&self.file, &self.started, &text.unwrap_or_default())
            .unwrap_or_else(|| finding(Grade::Good, format!("{file} is in use"), String::new()))
    }
}

/// Returns the refusal of all harm because the file is unusable.
fn refusal(error: &ConfigError) -> Problem {
    refuse(
        RefusalCode::Configuration,
        format!("{}; nothing is injected until this host's policy can be read", error.one_line()),
        error.hint(),
    )
}

/// Makes a finding on the configuration.
pub(super) fn finding(grade: Grade, detail: String, hint: String) -> Finding {
    Finding { what: "configuration".to_owned(), grade, detail, hint }
}

/// Returns the finding that names the keys of the file that need a restart; `None` if there are none. `started` is the
/// file's text when the agent started, and `now` its present text.
pub(super) fn needs_restart(file: &Path, started: &str, now: &str) -> Option<Finding> {
    let keys = keys_not_applied(started, now);
    let detail = format!("{} is newer than what the agent uses: {}", file.display(), keys.join(", "));
    (!keys.is_empty()).then(|| finding(Grade::Note, detail, RESTART.to_owned()))
}

/// Returns the keys in which two texts of the file differ and whose changes a running agent does not apply.
fn keys_not_applied(started: &str, now: &str) -> Vec<String> {
    let table = |text: &str| text.parse::<toml::Table>().unwrap_or_default();
    let (started, now) = (table(started), table(now));
    let mut keys: Vec<String> = started.keys().chain(now.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    keys.retain(|key| !KEYS.contains(&key.as_str()) && started.get(key) != now.get(key));
    keys
}

#[cfg(test)]
mod tests {
    use std::{fs, time::SystemTime};

    use firedrill_wire::Span;

    use super::*;

    /// Writes a file, and sets its modification time to some seconds ago.
    fn write(file: &Path, text: &str, seconds_ago: u64) {
        fs::write(file, text).unwrap();
        let when = SystemTime::now() - Duration::from_secs(seconds_ago);
        fs::File::options().write(true).open(file).unwrap().set_modified(when).unwrap();
    }

    /// Returns the longest hold that each of the rules allows.
    fn holds(live: &Live) -> Vec<Span> {
        live.rules().unwrap().iter().map(|rules| rules.policy.max_hold).collect()
    }

    #[test]
    fn a_changed_policy_applies_as_soon_as_the_file_is_surely_complete() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("agent.toml");
        write(&file, "[policy]\nmax_hold = \"10m\"\n", 60);
        let live = Live::new(&Config::load(&file).unwrap());
        assert_eq!(holds(&live), [Span::secs(600)]);
        // An editor has truncated the file and not yet written it: the previous rules still apply.
        write(&file, "", 0);
        assert_eq!(holds(&live), [Span::secs(3600), Span::secs(600)]);
        write(&file, "[policy]\nmax_hold = \"1m\"\n", 2);
        assert_eq!(holds(&live), [Span::secs(60)]);
        assert!(live.warnings().is_empty(), "{:?}", live.warnings());
        fs::remove_file(&file).unwrap();
        assert_eq!(holds(&live), [Span::secs(60)]);
        assert!(live.warnings()[0].contains("is gone"), "{:?}", live.warnings());
    }

    #[test]
    fn an_invalid_file_refuses_harm_and_the_refusal_names_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("agent.toml");
        write(&file, "", 60);
        let live = Live::new(&Config::load(&file).unwrap());
        write(&file, "[policy]\nmax_hol = \"1m\"\n", 60);
        let problem = live.rules().unwrap_err();
        assert_eq!(problem.code, RefusalCode::Configuration);
        for wanted in ["agent.toml", "line 2", "max_hol", "nothing is injected"] {
            assert!(problem.title.contains(wanted), "{wanted}: {}", problem.title);
        }
        assert!(problem.hint.contains("check-config"), "{}", problem.hint);
        assert_eq!(live.finding().grade, Grade::Bad);
    }

    #[test]
    fn changed_keys_that_need_a_restart_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("agent.toml");
        write(&file, "host = \"h\"\n", 60);
        let live = Live::new(&Config::load(&file).unwrap());
        write(
            &file,
            "host = \"h\"\nlisten = \"[::]:1\"\n[timings]\ngrace = \"2s\"\n[policy]\nmax_faults = 1\n",
            60,
        );
        let warnings = live.warnings();
        assert!(warnings[0].contains("newer than what the agent uses: listen, timings;"), "{warnings:?}");
    }
}
