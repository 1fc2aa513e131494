//! A configuration for undo, status and release. It can always be found, even if the file is missing or invalid.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use firedrill_wire::api::{Finding, Grade};

use super::{Config, ConfigError, LastGood, Places, Rules, live};
use crate::local;

/// A usable configuration, and the problem of the file if there is one.
#[derive(Debug)]
pub struct Usable {
    /// The configuration in the file. If the file is invalid: defaults, with the host and the paths of the last good
    /// configuration.
    pub config: Config,
    /// The configuration of the last agent that started with this file, if it had another state or run directory. That
    /// agent may have left something there.
    pub before: Option<Config>,
    /// The reason why the file is unusable; `None` if it is usable.
    pub trouble: Option<Trouble>,
}

/// The reason why a file is unusable, and the paths that are used instead.
#[derive(Debug)]
pub struct Trouble {
    /// The reason.
    pub error: ConfigError,
    /// The sentence that names the paths that are used instead.
    instead: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = self.error.to_string();
        write!(out, "{}\n{}; {}", error.trim_end(), self.instead, self.error.hint())
    }
}

impl Usable {
    /// Reads a file. With `optional`, a missing file means the defaults.
    #[must_use]
    pub fn find(file: &Path, optional: bool) -> Self {
        // The copies of the last good configuration name the file by its absolute path.
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let read = if optional && !file.exists() { Config::parse("", &file) } else { Config::load(&file) };
        let error = match read {
            Ok(config) => {
                let before = LastGood::find(&file, &config.paths).map(|kept| kept.config()).filter(|kept| {
                    kept.paths.state != config.paths.state || kept.paths.run != config.paths.run
                });
                return Self { config, before, trouble: None };
            }
            Err(error) => error,
        };
        let guess = places_in(&std::fs::read(&file).unwrap_or_default());
        let (config, whose) = match LastGood::find(&file, &guess) {
            Some(kept) => (kept.config(), "the last good configuration's"),
            None => {
                let whose = if guess == Places::default() {
                    "built in"
                } else {
                    "those that could be read from the file"
                };
                let built_in = Config::parse("", &file).unwrap_or_default();
                (Config { paths: guess, ..built_in }, whose)
            }
        };
        let Places { state, run, .. } = &config.paths;
        let instead = format!("the paths used are {whose}: state {}, run {}", state.display(), run.display());
        Self { config, before: None, trouble: Some(Trouble { error, instead }) }
    }

    /// Returns the configuration of the running agent; if none runs, the one with which an agent would start now.
    #[must_use]
    pub fn of_running_or_next(&self) -> &Config {
        match &self.before {
            Some(before) if !local::listens(&self.config.paths()) && local::listens(&before.paths()) => {
                before
            }
            _ => &self.config,
        }
    }

    /// Returns the findings for `doctor`: on the file itself, and those of [`Rules::findings`] if the file is valid.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = vec![self.finding()];
        if self.trouble.is_none() {
            findings.extend(Rules::of(&self.config).findings(&self.config.file));
        }
        findings
    }

    /// Returns the finding for `doctor` on whether the file is valid, and whether the running agent uses it.
    #[must_use]
    pub fn finding(&self) -> Finding {
        let file = self.config.file.display();
        if let Some(trouble) = &self.trouble {
            let detail = format!("{}; {}", trouble.error.one_line(), trouble.instead);
            return live::finding(Grade::Bad, detail, trouble.error.hint());
        }
        let config = self.of_running_or_next();
        let runs = local::listens(&config.paths());
        let started = LastGood::find(&config.file, &config.paths).filter(|_| runs);
        started
            .and_then(|kept| live::needs_restart(&self.config.file, &kept.text, &self.config.text))
            .unwrap_or_else(|| live::finding(Grade::Good, format!("{file} can be used"), String::new()))
    }
}

/// Returns the paths that can be read from an invalid file, and defaults for the rest.
fn places_in(bytes: &[u8]) -> Places {
    let text = String::from_utf8_lossy(bytes);
    let (table, _) = toml::de::DeTable::parse_recoverable(&text);
    let paths = table.get_ref().get("paths").and_then(|paths| paths.get_ref().as_table());
    let get = |key: &str| {
        let path = PathBuf::from(paths?.get(key)?.get_ref().as_str()?);
        path.is_absolute().then_some(path)
    };
    let built_in = Places::default();
    Places {
        state: get("state").unwrap_or(built_in.state),
        run: get("run").unwrap_or(built_in.run),
        runit: built_in.runit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_from_a_file_with_errors_elsewhere() {
        for text in [
            "nonsense = 1\n[paths]\nstate = \"/s\"\nrun = \"/r\"\nother = 3\n",
            "[paths]\nstate = \"/s\"\nrun = \"/r\"\n[timings]\ngrace = \n",
        ] {
            let places = places_in(text.as_bytes());
            assert_eq!((&*places.state, &*places.run), (Path::new("/s"), Path::new("/r")), "{text}");
        }
        assert_eq!(places_in(b"\xff\xfe[paths"), Places::default());
        assert_eq!(places_in(b"[paths]\nstate = \"relative\""), Places::default());
    }
}
