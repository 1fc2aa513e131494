//! The configuration's file while an agent runs. A changed policy applies at once; all other changes are reported as
//! needing a restart.
//!
//! An invalid file refuses harm, because nobody knows what it was meant to forbid. Healing never asks.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use firedrill_wire::{
    RefusalCode,
    api::{Finding, Grade, Problem},
};

use super::{Config, ConfigError, Rules, rules::KEYS};
use crate::injection::refuse;

/// A file that was changed within this time may be half written: the previous policy applies too.
const SETTLED: Duration = Duration::from_secs(1);
/// The advice for changed keys that only a restart applies.
pub(super) const RESTART: &str = "restart the agent to use them";

/// The configuration's file, which is checked for changes at each question.
#[derive(Debug)]
pub struct Live {
    file: PathBuf,
    started: String,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    text: String,
    rules: Arc<Rules>,
}

impl Live {
    /// Starts from the configuration with which the agent started.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let now = Now { text: config.text.clone(), rules: Arc::new(Rules::of(config)) };
        Self { file: config.file.clone(), started: config.text.clone(), now: Mutex::new(now) }
    }

    /// Returns the rules that must all allow an act: the file's, and for a second after a change the previous ones.
    ///
    /// # Errors
    /// The refusal: the file exists and is invalid.
    pub fn rules(&self) -> Result<Vec<Arc<Rules>>, Problem> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let text = match std::fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(vec![Arc::clone(&now.rules)]);
            }
            Err(source) => return Err(refusal(&ConfigError::Read { file: self.file.clone(), source })),
        };
        if text == now.text {
            return Ok(vec![Arc::clone(&now.rules)]);
        }
        let parsed = Config::parse(&text, &self.file).map_err(|error| refusal(&error))?;
        let new = Arc::new(Rules::of(&parsed));
        let age = std::fs::metadata(&self.file).and_then(|data| data.modified()).map(|when| when.elapsed());
        if matches!(age, Ok(Ok(age)) if age < SETTLED) {
            return Ok(vec![new, Arc::clone(&now.rules)]);
        }
        if *new != *now.rules {
            tracing::info!(
                "what {} says of environment, policy or secrets has changed and is in force from now on",
                self.file.display()
            );
        }
        *now = Now { text, rules: Arc::clone(&new) };
        Ok(vec![new])
    }

    /// Returns the last rules that could be read, even if the file is invalid now.
    #[must_use]
    pub fn last_good(&self) -> Arc<Rules> {
        Arc::clone(&self.now.lock().unwrap_or_else(PoisonError::into_inner).rules)
    }

    /// Returns one sentence for each problem of the file and for each key that needs a restart.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let finding = self.finding();
        if finding.grade == Grade::Good {
            Vec::new()
        } else {
            vec![format!("{}; {}", finding.detail, finding.hint)]
        }
    }

    /// Returns the finding for `doctor` on the file: the acts and callers that it allows.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut all = vec![self.finding()];
        all.extend(self.last_good().findings(&self.file));
        all
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
            let detail = format!("{file} is gone; the agent goes on with what it said");
            return finding(Grade::Note, detail, "put it back, or restart the agent without it".to_owned());
        }
        let unused = unused(&self.started, &text.unwrap_or_default());
        if unused.is_empty() {
            return finding(Grade::Good, format!("{file} is in use"), String::new());
        }
        let detail = format!("{file} is newer than what the agent uses: {}", unused.join(", "));
        finding(Grade::Note, detail, RESTART.to_owned())
    }
}

fn refusal(error: &ConfigError) -> Problem {
    refuse(
        RefusalCode::Configuration,
        format!("{}; nothing is injected as long as nobody can read this host's policy", error.one_line()),
        error.hint(),
    )
}

pub(super) fn finding(grade: Grade, detail: String, hint: String) -> Finding {
    Finding { what: "configuration".to_owned(), grade, detail, hint }
}

/// Returns the keys in which two texts differ and that a running agent does not apply.
pub(super) fn unused(started: &str, now: &str) -> Vec<String> {
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
    use std::{fs, path::Path, time::SystemTime};

    use firedrill_wire::Span;

    use super::*;

    /// Writes a file as if that had been some time ago.
    fn write(file: &Path, text: &str, seconds_ago: u64) {
        fs::write(file, text).unwrap();
        let when = SystemTime::now() - Duration::from_secs(seconds_ago);
        fs::File::options().write(true).open(file).unwrap().set_modified(when).unwrap();
    }

    fn holds(live: &Live) -> Vec<Span> {
        live.rules().unwrap().iter().map(|rules| rules.policy.max_hold).collect()
    }

    #[test]
    fn a_policy_is_taken_as_soon_as_its_file_is_whole() {
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
    fn a_file_that_is_wrong_refuses_harm_and_says_where() {
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
    fn what_is_not_used_yet_is_named() {
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
