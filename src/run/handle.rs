//! The way by which others steer a run while it goes on. It never waits for the run, and reads nothing of it.

use std::path::{Path, PathBuf};

use firedrill_wire::RunId;

use super::{inbox::Mail, input::Input};

/// Steers a run from outside of its task.
#[derive(Clone, Debug)]
pub struct Handle {
    run: RunId,
    folder: PathBuf,
    mail: Mail,
}

impl Handle {
    pub(super) const fn new(run: RunId, folder: PathBuf, mail: Mail) -> Self {
        Self { run, folder, mail }
    }

    /// Returns the run's id.
    #[must_use]
    pub const fn run(&self) -> &RunId {
        &self.run
    }

    /// Returns the folder of its log and reports.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Asks the run to stop, and to put everything back. `by` names a person or a signal. The first reason counts; of a run that stops
    /// already, the screen shows what it waits for. Returns `false` if the run has ended.
    pub fn halt(&self, by: &str) -> bool {
        self.mail.send(Input::Halt { by: by.to_owned() })
    }
}
