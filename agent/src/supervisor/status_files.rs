//! The files in `/run` that tell people and recovery which injections are open. Never reads them.

use firedrill_wire::api::OpenOne;

use super::core::Core;
use crate::{
    active,
    journal::{Closed, forget_closed, keep_closed, write_copy},
    mutex::lock,
};

impl Core {
    /// Writes the files: the open injections for people, their copy for recovery, and the injections that ended without being journaled.
    pub(super) fn write_status_files(&self) {
        let _order = lock(&self.files);
        // Read before the state, so that the states of injections are at least as new as this number.
        let (last_seq, behind) = {
            let journal = lock(&self.journal);
            // A journal that was cut may have lost the end of an injection: readers would call the injection open.
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
