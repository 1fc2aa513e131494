//! A configuration for healing, looking and releasing: one is always found, whatever the state of the file.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use firedrill_wire::api::{Finding, Grade};

use super::{Config, ConfigError, LastGood, Places, Rules, live};
use crate::local;

/// A usable configuration, and the file's problem.
#[derive(Debug)]
pub struct Usable {
    /// The configuration in the file, or, if the file is invalid, the host and the paths of the last good one.
    pub config: Config,
    /// The paths of the last agent with this file, if they differ: it may have left something there.
    pub before: Option<Config>,
    /// The reason why the file is unusable.
    pub trouble: Option<Trouble>,
}

/// The reason why a file is unusable, and the replacement.
#[derive(Debug)]
pub struct Trouble {
    /// The reason.
    pub error: ConfigError,
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
        // The copies name the file by its whole path.
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
                let whose =
                    if guess == Places::default() { "built in" } else { "those that can be read of it" };
                let built_in = Config::parse("", &file).unwrap_or_default();
                (Config { paths: guess, ..built_in }, whose)
            }
        };
        let Places { state, run, .. } = &config.paths;
        let instead = format!("the paths used are {whose}: state {}, run {}", state.display(), run.display());
        Self { config, before: None, trouble: Some(Trouble { error, instead }) }
    }

    /// Returns the configuration of the running agent, or the one that an agent would start with now.
    #[must_use]
    pub fn of_running_or_next(&self) -> &Config {
        match &self.before {
            Some(before) if !local::listens(&self.config.paths()) && local::listens(&before.paths()) => {
                before
            }
            _ => &self.config,
        }
    }

    /// Returns the finding for `doctor` on the file: the acts and callers that it allows.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut all = vec![self.finding()];
        if self.trouble.is_none() {
            all.extend(Rules::of(&self.config).findings(&self.config.file));
        }
        all
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
        let unused = started.map(|kept| live::unused(&kept.text, &self.config.text)).unwrap_or_default();
        if unused.is_empty() {
            return live::finding(Grade::Good, format!("{file} can be used"), String::new());
        }
        let detail = format!("{file} is newer than what the agent uses: {}", unused.join(", "));
        live::finding(Grade::Note, detail, live::RESTART.to_owned())
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
    fn paths_are_read_of_a_file_that_is_wrong_elsewhere() {
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
