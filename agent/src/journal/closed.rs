//! Records in `/run` the injections that were undone while the journal could not be written: the journal still calls
//! them open. Without this file they would be undone again at every start, against changes that an administrator has
//! made since.

use std::{io, path::Path};

use firedrill_wire::{InjectionId, RunId, journal::State};
use serde::{Deserialize, Serialize};

use super::{file::replace, record::Intent, replay::Replayed};
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

    fn is(&self, intent: &Intent) -> bool {
        self.injection == *intent.id() && self.run == intent.run && self.start_boot_us == intent.start_boot_us
    }
}

#[derive(Serialize, Deserialize)]
struct List {
    boot_id: String,
    closed: Vec<Closed>,
}

/// Adds injections that are over and could not be journaled to the file.
///
/// # Errors
/// It could not be written.
pub fn add(run_dir: &Path, here: &Identity, news: impl IntoIterator<Item = Closed>) -> io::Result<()> {
    let mut closed = read(run_dir, here);
    let before = closed.len();
    for one in news {
        if !closed
            .iter()
            .any(|known| known.injection == one.injection && known.start_boot_us == one.start_boot_us)
        {
            closed.push(one);
        }
    }
    if closed.len() == before {
        return Ok(());
    }
    std::fs::create_dir_all(run_dir)?;
    let list = List { boot_id: here.boot_id.clone(), closed };
    replace(&run_dir.join(FILE), &serde_json::to_vec(&list)?, 0o600)
}

/// Removes the file, once all of it is journaled.
///
/// # Errors
/// It could not be removed.
pub fn remove(run_dir: &Path) -> io::Result<()> {
    match std::fs::remove_file(run_dir.join(FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Closes injections that the journal calls open and that are over. Returns them, to be journaled.
pub fn merge(run_dir: &Path, here: &Identity, into: &mut Replayed) -> Vec<Closed> {
    let mut news = Vec::new();
    for one in read(run_dir, here) {
        let found = into.injections.iter_mut().rev().find(|found| one.is(&found.intent));
        if let Some(found) = found.filter(|found| found.state.is_open()) {
            found.state = one.state;
            news.push(one);
        }
    }
    news
}

/// An unreadable file closes nothing: undoing once more does no harm.
fn read(run_dir: &Path, here: &Identity) -> Vec<Closed> {
    let bytes = std::fs::read(run_dir.join(FILE)).unwrap_or_default();
    let list = serde_json::from_slice::<List>(&bytes).ok().filter(|list| list.boot_id == here.boot_id);
    list.map(|list| list.closed).unwrap_or_default()
}
