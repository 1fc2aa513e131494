//! The files in `/run` that tell people and recovery what is open.

use firedrill_wire::api::OpenOne;

use super::core::{Core, lock};
use crate::{
    active,
    journal::{Closed, forget_closed, keep_closed, write_copy},
};

impl Core {
    /// Writes the files that tell people and recovery what is open, and what has ended without being journaled.
    pub(super) fn write_status_files(&self) {
        let _order = lock(&self.files);
        // Read first, so that the states are at least as new.
        let (last_seq, behind) = {
            let journal = lock(&self.journal);
            // Of a journal that somebody cut, records before an end are lost: readers call the injection open.
            (journal.last_seq(), journal.is_behind() || journal.lost().is_some())
        };
        let closed: Vec<Closed> = lock(&self.state)
            .live
            .values()
            .filter(|entry| behind && !entry.state.is_open())
            .map(|entry| Closed::of(&entry.intent, entry.state, String::new(), Vec::new()))
            .collect();
        let (open, intents): (Vec<OpenOne>, Vec<_>) = lock(&self.state)
            .live
            .values()
            .filter(|entry| entry.state.is_open())
            .map(|entry| (entry.show(), (entry.intent.clone(), entry.state)))
            .unzip();
        let run_dir = &self.config.paths.run;
        let kept = if behind { keep_closed(run_dir, &self.here, closed) } else { forget_closed(run_dir) };
        if let Err(error) = kept {
            tracing::warn!("cannot write what is over to {}: {error}", run_dir.display());
        }
        let intents = intents.iter().map(|(intent, state)| (intent, *state));
        let copied = write_copy(run_dir, &self.here, last_seq, intents);
        let offset = i128::from(self.wall_us()) - i128::from(self.now());
        if let Err(error) = copied.and_then(|()| active::write(run_dir, &open, offset)) {
            tracing::warn!("cannot write what is active to {}: {error}", run_dir.display());
        }
    }
}
