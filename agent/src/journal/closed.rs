//! Records in `/run` the injections that were undone while the journal could not be written: the journal still calls
//! them open. Without this file they would be undone again at every start, against changes that an administrator has
//! made since.

use std::{io, path::Path};

use firedrill_wire::{InjectionId, RunId, journal::State};
use serde::{Deserialize, Serialize};

use super::{
    file::{remove_if_there, replace},
    record::Intent,
    replay::Replayed,
};
use crate::identity::Identity;

/// The file's name in the run directory.
const FILE: &str = "closed.json";

/// One injection that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Its id.
    pub injection: InjectionId,
    /// Its run.
    pub run: RunId,
    /// The time for which its start was planned: an injection that was armed later with the same id is another one.
    pub start_boot_us: u64,
    /// The state in which it ended.
    pub state: State,
    /// The actions of the undo, for people.
    pub detail: String,
    /// The changes that others had made to the same objects.
    pub foreign: Vec<String>,
}

impl Closed {
    /// Makes a record for an injection that ended.
    #[must_use]
    pub fn of(intent: &Intent, state: State, detail: String, foreign: Vec<String>) -> Self {
        let (injection, run) = (intent.id().clone(), intent.run.clone());
        Self { injection, run, start_boot_us: intent.start_boot_us, state, detail, foreign }
    }

    fn is_end_of(&self, intent: &Intent) -> bool {
        self.injection == *intent.id() && self.run == intent.run && self.start_boot_us == intent.start_boot_us
    }
}

/// The content of the file.
#[derive(Serialize, Deserialize)]
struct List {
    /// The boot in which the injections ended. In another boot the file counts as empty.
    boot_id: String,
    closed: Vec<Closed>,
}

/// Adds to the file injections that are over and whose end could not be journaled.
///
/// # Errors
/// It could not be written.
pub fn add(run_dir: &Path, here: &Identity, ended: impl IntoIterator<Item = Closed>) -> io::Result<()> {
    let mut closed = read(run_dir, here);
    let before = closed.len();
    for new in ended {
        let is_new =
            |known: &Closed| known.injection == new.injection && known.start_boot_us == new.start_boot_us;
        if !closed.iter().any(is_new) {
            closed.push(new);
        }
    }
    if closed.len() == before {
        return Ok(());
    }
    std::fs::create_dir_all(run_dir)?;
    let list = List { boot_id: here.boot_id.clone(), closed };
    replace(&run_dir.join(FILE), &serde_json::to_vec(&list)?, 0o600)
}

/// Removes the file. The caller has journaled the end of each injection in it.
///
/// # Errors
/// It exists and could not be removed.
pub fn remove(run_dir: &Path) -> io::Result<()> {
    remove_if_there(&run_dir.join(FILE))
}

/// Closes in `into` the injections that the journal calls open and the file calls over. Returns them: their ends still have to be journaled.
pub fn merge(run_dir: &Path, here: &Identity, into: &mut Replayed) -> Vec<Closed> {
    let mut to_journal = Vec::new();
    for closed in read(run_dir, here) {
        let found = into.injections.iter_mut().rev().find(|found| closed.is_end_of(&found.intent));
        if let Some(found) = found.filter(|found| found.state.is_open()) {
            found.state = closed.state;
            to_journal.push(closed);
        }
    }
    to_journal
}

/// Reads the file's injections. There are none if the file is missing, unreadable or from another boot: undoing once more does no harm.
fn read(run_dir: &Path, here: &Identity) -> Vec<Closed> {
    let bytes = std::fs::read(run_dir.join(FILE)).unwrap_or_default();
    let list = serde_json::from_slice::<List>(&bytes).ok().filter(|list| list.boot_id == here.boot_id);
    list.map(|list| list.closed).unwrap_or_default()
}
