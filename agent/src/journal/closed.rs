//! What was put back while the journal could not be written, in `/run`: the journal still calls it open. Without this it
//! would be put back again at every start, against whatever an administrator has done since.

use std::{io, path::Path};

use firedrill_wire::{InjectionId, RunId, journal::State};
use serde::{Deserialize, Serialize};

use super::{file::replace, replay::Replayed};
use crate::identity::Identity;

/// The file's name in the run directory.
const FILE: &str = "closed.json";

/// One injection that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Which.
    pub injection: InjectionId,
    /// Its run.
    pub run: RunId,
    /// How it ended.
    pub state: State,
    /// What was done.
    pub detail: String,
    /// What others had done.
    pub foreign: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct List {
    boot_id: String,
    closed: Vec<Closed>,
}

/// Writes what is over and could not be journaled; removes the file where there is nothing.
///
/// # Errors
/// It could not be written.
pub fn write(run_dir: &Path, here: &Identity, closed: &[Closed]) -> io::Result<()> {
    let path = run_dir.join(FILE);
    if closed.is_empty() {
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    let list = List { boot_id: here.boot_id.clone(), closed: closed.to_vec() };
    replace(&path, &serde_json::to_vec(&list)?, 0o600)
}

/// Closes what the journal calls open and is over; gives what that was, to be journaled. A file that cannot be read
/// closes nothing: putting back once more does no harm.
pub fn merge(run_dir: &Path, here: &Identity, into: &mut Replayed) -> Vec<Closed> {
    let list =
        std::fs::read(run_dir.join(FILE)).ok().and_then(|bytes| serde_json::from_slice::<List>(&bytes).ok());
    let mut news = Vec::new();
    for one in list.filter(|list| list.boot_id == here.boot_id).map(|list| list.closed).unwrap_or_default() {
        let found = into.injections.iter_mut().rev().find(|found| *found.intent.id() == one.injection);
        if let Some(found) = found.filter(|found| found.intent.run == one.run && found.state.is_open()) {
            found.state = one.state;
            news.push(one);
        }
    }
    news
}
