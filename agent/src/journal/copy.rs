//! A copy of the open injections in `/run`, so that a lost or damaged journal can still be healed. It is gone after a
//! reboot, like most effects.

use std::{io, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    file::replace,
    record::Intent,
    replay::{Found, Replayed},
};
use crate::{identity::Identity, transition::progress};
use firedrill_wire::journal::State;

/// The file's name in the run directory.
pub const FILE: &str = "open.json";

/// The content of the file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Copy {
    identity: Identity,
    /// The number of the newest event at the time of writing: a journal that ends before has lost records.
    #[serde(default)]
    last_seq: u64,
    open: Vec<(Intent, State)>,
}

/// Writes the open injections, as of the event with that number; removes the file if there are none.
///
/// # Errors
/// It could not be written.
pub fn write<'a>(
    run_dir: &Path,
    here: &Identity,
    last_seq: u64,
    open: impl Iterator<Item = (&'a Intent, State)>,
) -> io::Result<()> {
    let path = run_dir.join(FILE);
    let open: Vec<(Intent, State)> = open.map(|(intent, state)| (intent.clone(), state)).collect();
    if open.is_empty() {
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    let text = serde_json::to_vec(&Copy { identity: here.clone(), last_seq, open })?;
    replace(&path, &text, 0o600)
}

/// Reads the file; `None` if it does not exist.
///
/// # Errors
/// The file exists and cannot be read; the text says why.
pub(super) fn load(run_dir: &Path) -> Result<Option<Copy>, String> {
    let path = run_dir.join(FILE);
    match std::fs::read(&path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map_err(|error| format!("{} is damaged: {error}", path.display()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

/// Adds to the replayed journal what only the copy knows, and takes the further state of the two. Injections that the
/// journal closed stay closed. If one of the two is damaged, every armed injection counts as started.
pub(super) fn merge(copy: Result<Option<Copy>, String>, into: &mut Replayed) {
    match copy {
        Ok(Some(copy)) => add(copy, into),
        Ok(None) => {}
        Err(damage) => into.damage.push(damage),
    }
    if !into.damage.is_empty() {
        for found in into.injections.iter_mut().filter(|found| found.state == State::Armed) {
            // The record of its start may have been lost.
            found.state = State::Injecting;
        }
    }
}

fn add(copy: Copy, into: &mut Replayed) {
    let cut = copy.last_seq > into.last_seq;
    if cut {
        into.damage.push(format!(
            "the journal ends with event {}, but {FILE} was written after event {}: what was journaled between is lost",
            into.last_seq, copy.last_seq
        ));
        into.last_seq = copy.last_seq;
    }
    let damaged = !into.damage.is_empty();
    for (intent, state) in copy.open {
        let Some(found) = into.find(intent.id()) else {
            into.damage
                .push(format!("{} stands in {FILE} but not in the journal; it is put back", intent.id()));
            into.injections.push(Found::new(intent, state, None));
            continue;
        };
        let (here, there) = (progress(found.state), progress(state));
        // Written together with a more exact undo, except at the moment at which the effect is made.
        let as_good = here == there && damaged && (cut || state != State::Injecting);
        if found.state.is_open() && (there > here || as_good) {
            let news = format!(
                "{} is {:?} by the journal and {state:?} by {FILE}; it is put back as the latter",
                intent.id(),
                found.state
            );
            (found.intent, found.state) = (intent, state);
            if there > here {
                into.damage.push(news);
            }
        }
    }
}
