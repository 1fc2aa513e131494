//! A copy of what is open in `/run`, so that a lost or damaged journal still heals. Gone with a reboot, like most of
//! what it tells of.

use std::{io, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    file::replace,
    record::Intent,
    replay::{Found, Replayed},
};
use crate::identity::Identity;
use firedrill_wire::journal::State;

/// The file's name in the run directory.
pub const FILE: &str = "open.json";

#[derive(Serialize, Deserialize)]
struct Copy {
    identity: Identity,
    open: Vec<(Intent, State)>,
}

/// Writes what is open; removes the file where nothing is.
///
/// # Errors
/// It could not be written.
pub fn write<'a>(
    run_dir: &Path,
    here: &Identity,
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
    let text = serde_json::to_vec(&Copy { identity: here.clone(), open })?;
    replace(&path, &text, 0o600)
}

/// Adds to what the journal said what only the copy knows. What the journal closed stays closed.
pub fn merge(run_dir: &Path, here: &Identity, into: &mut Replayed) {
    let path = run_dir.join(FILE);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            into.damage.push(format!("cannot read {}: {error}", path.display()));
            return;
        }
    };
    let copy: Copy = match serde_json::from_slice(&bytes) {
        Ok(copy) => copy,
        Err(error) => {
            into.damage.push(format!("{} is damaged: {error}", path.display()));
            return;
        }
    };
    if copy.identity.machine_id != here.machine_id {
        into.damage.push(format!("{} is another machine's; ignored", path.display()));
        return;
    }
    for (intent, state) in copy.open {
        if into.injections.iter().all(|found| found.intent.id() != intent.id()) {
            into.damage.push(format!(
                "{} stands in {} but not in the journal; it is put back",
                intent.id(),
                path.display()
            ));
            // The copy is not rewritten at the moment of a start: what it calls armed may have started since.
            let state = if state == State::Armed { State::Injecting } else { state };
            into.injections.push(Found { intent, state, in_journal: false });
        }
    }
}
