//! Keeps the journal's file short while the agent lives, and makes it anew if it was deleted, replaced or cut. Also returns memory to the
//! system.

use std::sync::atomic::Ordering::Relaxed;

use firedrill_wire::journal::{AgentEvent, State, What};

use super::{Supervisor, core::Core, snapshots};
use crate::{
    active, heap,
    journal::{Intent, JournalError, Record},
    mutex::lock,
};

impl Supervisor {
    /// Returns the memory of the thread that polls this to the system, each time after no call came for some time. Never ends.
    pub async fn rests(self) {
        loop {
            self.0.resting.notified().await;
            // Checked again: a call may have come meanwhile, and an injection that starts must not wait for this.
            if self.0.is_quiet() {
                heap::rest();
            }
        }
    }

    /// Checks the journal's file, and repairs or shortens it. A thread that may wait for a disk calls this every second.
    pub fn tidy(&self) {
        self.0.give_back();
        // This logs its errors itself.
        let _ = self.0.remake_journal_if_lost();
        if let Err(error) = self.0.shorten_journal() {
            tracing::warn!("{}; the journal stays as long as it is", error.chain());
        }
    }
}

/// Time after the last call until the threads that answered it have ended and freed their memory, in microseconds.
const QUIET_US: u64 = 7_000_000;

impl Core {
    /// Whether no call came since memory was given back, and nothing is open.
    fn is_quiet(&self) -> bool {
        self.stirred_boot_us.load(Relaxed) == 0 && !lock(&self.state).has_open()
    }

    /// Returns the memory of the last calls to the system, once no call came for some time.
    fn give_back(&self) {
        let stirred = self.stirred_boot_us.load(Relaxed);
        let open = lock(&self.state).has_open();
        let quiet = stirred != 0 && !open && self.now().saturating_sub(stirred) > QUIET_US;
        // If a call came meanwhile, this waits until that call is over for some time.
        if quiet && self.stirred_boot_us.compare_exchange(stirred, 0, Relaxed, Relaxed).is_ok() {
            self.audit.rest();
            self.resting.notify_one();
            heap::rest();
        }
    }

    /// Makes the journal's file anew if it was deleted, replaced or cut.
    ///
    /// # Errors
    /// It could not be made, so nothing may be injected.
    pub(super) fn remake_journal_if_lost(&self) -> Result<(), JournalError> {
        let (lost, path, made) = {
            let mut journal = lock(&self.journal);
            let Some(lost) = journal.lost() else { return Ok(()) };
            let known = self.known_records(journal.last_seq());
            (lost, journal.path().display().to_string(), journal.make_anew(lost, &known))
        };
        let was = format!("{path} was {} while the agent ran", lost.word());
        let text = match &made {
            Ok(()) => format!("{was}; it was made anew with what is open"),
            Err(error) => format!("{was}, and could not be made anew: {}", error.chain()),
        };
        // The same problem is logged once.
        let before = lock(&self.about_file).replace(text.clone());
        if before.as_ref() != Some(&text) {
            tracing::error!("{text}");
            active::syslog(&text);
        }
        made?;
        self.sync();
        Ok(())
    }

    /// Returns everything that a journal must have which has lost its content. Includes injections that are over and still in
    /// memory, so that readers see their ends.
    fn known_records(&self, last_seq: u64) -> Vec<Record> {
        let state = lock(&self.state);
        let mut records: Vec<Record> = state.tombstones.records().collect();
        if let Some(by) = &state.halted_by {
            records.push(Record::Event(self.repeated(last_seq, What::Halted { by: by.clone() })));
        }
        for entry in state.live.values().filter(|entry| entry.journaled) {
            records.push(Record::Intent(Box::new(entry.intent.clone())));
            records.extend(entry.story.iter().cloned().map(Record::Event));
        }
        records
    }

    /// Returns an event that repeats a fact for a new journal. Its number is that of the last event.
    fn repeated(&self, last_seq: u64, what: What) -> AgentEvent {
        AgentEvent {
            seq: last_seq,
            boot_us: self.now(),
            boot_id: self.here.boot_id.clone(),
            wall_us: self.wall_us(),
            what,
        }
    }

    /// Returns the story of an injection that has been stuck since an earlier agent: that agent's events are not in memory. `detail` is the
    /// reason why it is stuck.
    pub(super) fn story_of_stuck(&self, intent: &Intent, detail: &str) -> Vec<AgentEvent> {
        let last_seq = lock(&self.journal).last_seq();
        let changed = |to, detail: &str| What::Changed {
            injection: intent.id().clone(),
            run: intent.run.clone(),
            to,
            reason: None,
            detail: detail.to_owned(),
            foreign: Vec::new(),
        };
        [(State::Undoing, ""), (State::Stuck, detail)]
            .map(|(to, detail)| self.repeated(last_seq, changed(to, detail)))
            .into()
    }

    /// Shortens the journal if it is long.
    fn shorten_journal(&self) -> Result<(), JournalError> {
        let (long, open) = {
            let mut journal = lock(&self.journal);
            let Some(long) = journal.begin_compaction(false)? else { return Ok(()) };
            let state = lock(&self.state);
            let open: Vec<_> = state.journaled().map(|entry| entry.intent.id().clone()).collect();
            (long, open)
        };
        // Done without the journal's lock, so that starts and undos do not wait meanwhile.
        let short = long.shorten(&snapshots::runs(&self.config.paths.state), &open)?;
        let done = lock(&self.journal).take_shorter(short);
        heap::trim();
        done
    }
}
