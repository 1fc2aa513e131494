//! The last configuration that an agent started with, so that healing does not need the file.
//!
//! Copies are in the built-in directories, which can be found even if the file is unusable, and in the configured ones. A
//! copy in `/run` counts before one beside the journal, which survives a reboot.

use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::{Config, Places};
use crate::{host::Paths, journal::replace};

/// The part of a valid configuration that healing needs, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastGood {
    /// The absolute path of the configuration file.
    pub file: PathBuf,
    /// The file's whole text, to detect changes.
    pub text: String,
    /// The host's name.
    pub host: String,
    /// The directory of the journal.
    pub state: PathBuf,
    /// The run directory.
    pub run: PathBuf,
    /// The directories with runit's service directories.
    pub runit: Vec<PathBuf>,
}

impl LastGood {
    /// Returns the part of a configuration that healing needs.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let Paths { state, run, runit } = config.paths();
        Self {
            file: config.file.clone(),
            text: config.text.clone(),
            host: config.host.clone(),
            state,
            run,
            runit,
        }
    }

    /// Finds the copy for a configuration file, in the built-in directories and in the directories `also`. Returns `None` if
    /// no copy can be read.
    #[must_use]
    pub fn find(file: &Path, also: &Places) -> Option<Self> {
        dirs(&also.state, &also.run).iter().find_map(|dir| {
            let bytes = std::fs::read(dir.join(name(file))).ok()?;
            serde_json::from_slice(&bytes).ok().filter(|kept: &Self| kept.file == file)
        })
    }

    /// Writes all copies. A copy that cannot be written is logged and stops nothing.
    pub fn write(&self) {
        for dir in dirs(&self.state, &self.run) {
            let written = std::fs::create_dir_all(&dir)
                .and_then(|()| replace(&dir.join(name(&self.file)), &serde_json::to_vec(self)?, 0o600));
            if let Err(error) = written {
                tracing::warn!("cannot keep a copy of {} in {}: {error}", self.file.display(), dir.display());
            }
        }
    }

    /// Returns a configuration for undo and status: with this host name and these directories, and defaults for the rest.
    #[must_use]
    pub fn config(&self) -> Config {
        let Self { file, text, host, state, run, runit } = self.clone();
        Config { host, file, text, paths: Places { state, run, runit }, ..Config::default() }
    }
}

/// Returns the directories of the copies, the most trusted first.
fn dirs(state: &Path, run: &Path) -> Vec<PathBuf> {
    let built_in = Paths::default();
    let mut dirs: Vec<PathBuf> = Vec::new();
    for dir in [&*built_in.run, &built_in.state, run, state] {
        if !dirs.iter().any(|known| known == dir) {
            dirs.push(dir.to_owned());
        }
    }
    dirs
}

/// Returns the name of the copy for a configuration file. It depends on the file's path, so that agents with different
/// files have different copies.
fn name(file: &Path) -> String {
    let hash = digest(&SHA256, file.as_os_str().as_encoded_bytes());
    let hash: String = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("last-good-{hash}.json")
}
