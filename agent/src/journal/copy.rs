//! A copy of the open injections in `/run`, so that a lost or damaged journal can still be healed. It is gone after a
//! reboot, like most effects.

use std::{io, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    file::{remove_if_there, replace},
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

/// Writes the open injections, as they are after the event with the number `last_seq`; removes the file if there are none.
///
/// # Errors
/// The file could not be written or removed.
pub fn write<'a>(
    run_dir: &Path,
    here: &Identity,
    last_seq: u64,
    open: impl Iterator<Item = (&'a Intent, State)>,
) -> io::Result<()> {
    let path = run_dir.join(FILE);
    let open: Vec<(Intent, State)> = open.map(|(intent, state)| (intent.clone(), state)).collect();
    if open.is_empty() {
        return remove_if_there(&path);
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

/// Adds to the replayed journal the injections that only the copy knows. For the others the further state of the two counts. Injections
/// that the journal closed stay closed. If journal or copy is damaged, every armed injection counts as started.
pub(super) fn merge(copy: Result<Option<Copy>, String>, into: &mut Replayed) {
    match copy {
        Ok(Some(copy)) => add(copy, into),
        Ok(None) => {}
        Err(damage) => into.damage.push(damage),
    }
    if !into.damage.is_empty() {
        for found in into.injections.iter_mut().filter(|found| found.state == State::Armed) {
            // The record of its start may be lost.
            found.state = State::Injecting;
        }
    }
}

/// Adds an undamaged copy.
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
        let (by_journal, by_copy) = (progress(found.state), progress(state));
        // A damaged journal may have lost the record of a more exact undo, which the copy has. Only while the effect is being made may
        // the journal have the better undo: that record is written before the copy.
        let may_have_better_undo = by_copy == by_journal && damaged && (cut || state != State::Injecting);
        if found.state.is_open() && (by_copy > by_journal || may_have_better_undo) {
            let text = format!(
                "{} is {:?} by the journal and {state:?} by {FILE}; it is put back as the latter",
                intent.id(),
                found.state
            );
            (found.intent, found.state) = (intent, state);
            if by_copy > by_journal {
                into.damage.push(text);
            }
        }
    }
}
