//! Replays a journal's bytes into the state that they describe. Never opens a file, and never fails: a damaged record is reported and
//! skipped, and all others count. Never decides which undo actions still apply after a reboot: each intent names its boot for the code
//! that undoes.

use firedrill_wire::{
    InjectionId, RunId,
    api::Claim,
    journal::{AgentEvent, State, What},
};

use super::{
    record::{FORMAT, Intent, Record, decode, salvage},
    tombstones::Tombstones,
};
use crate::transition::{Step, next};

/// The state that a journal describes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replayed {
    /// All injections in the order in which they were armed, closed ones too.
    pub injections: Vec<Found>,
    /// The runs and injections that must never start.
    pub tombstones: Tombstones,
    /// The person who halted the host; `None` if it is not halted.
    pub halted_by: Option<String>,
    /// The newest event's number; higher if a number may have been lost.
    pub last_seq: u64,
    /// The damage to the file, for people.
    pub damage: Vec<String>,
    /// The length of an unfinished record at the end, in bytes.
    pub torn: u64,
    /// The length of all complete records, in bytes.
    pub whole: u64,
}

/// An injection in a journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The intent, with the most exact undo.
    pub intent: Intent,
    /// Its state.
    pub state: State,
    /// Its state by the journal alone; `None` if only the copy in `/run` has it.
    pub journaled: Option<State>,
    /// The time at which it ended, by the wall clock in microseconds, if the journal says so.
    pub ended_wall_us: Option<u64>,
    /// Changes by others that its undo found.
    pub foreign: Vec<String>,
}

impl Found {
    /// Makes an entry for an injection that is open; `journaled` is its state by the journal alone.
    pub(crate) const fn new(intent: Intent, state: State, journaled: Option<State>) -> Self {
        Self { intent, state, journaled, ended_wall_us: None, foreign: Vec::new() }
    }
}

impl Replayed {
    /// Returns the injections that may have effects to undo, in the order in which they were armed.
    pub fn open(&self) -> impl Iterator<Item = &Found> {
        self.injections.iter().filter(|found| found.state.is_open())
    }

    /// Returns the claims of a run's injections.
    #[must_use]
    pub fn claims(&self, run: &RunId) -> Vec<Claim> {
        let mut claims: Vec<Claim> = self
            .injections
            .iter()
            .filter(|found| found.intent.run == *run)
            .flat_map(|found| found.intent.live.prepared.claims.clone())
            .collect();
        claims.sort();
        claims.dedup();
        claims
    }

    /// Returns the injection with that id that was armed last.
    pub(super) fn find(&mut self, id: &InjectionId) -> Option<&mut Found> {
        self.injections.iter_mut().rev().find(|found| found.intent.id() == id)
    }

    /// Applies a record, which was found in the line with the number `at`.
    fn take(&mut self, record: Record, at: usize) {
        match record {
            Record::Header { format, last_seq, identity: _, version: _ } => {
                self.last_seq = self.last_seq.max(last_seq);
                if format != FORMAT {
                    self.damage.push(format!(
                        "line {at}: written in format {format}, this agent knows format {FORMAT}"
                    ));
                }
            }
            Record::Intent(intent) => self.armed(*intent),
            Record::BetterUndo { injection, undo } => match self.find(&injection) {
                Some(found) => found.intent.live.prepared.undo = undo,
                None => {
                    self.damage.push(format!("line {at}: an undo for {injection}, which was never armed"));
                }
            },
            Record::Tombstone { stone, stray: true } => drop(self.tombstones.add_stray(&stone)),
            Record::Tombstone { stone, stray: false } => drop(self.tombstones.add(&stone)),
            Record::Event(event) => {
                self.last_seq = self.last_seq.max(event.seq);
                match &event.what {
                    What::Changed { injection, to, foreign, .. } => {
                        self.changed(injection, *to, at);
                        self.count_hold_from(injection, &event);
                        if let Some(found) = self.find(injection) {
                            found.ended_wall_us = (!to.is_open()).then_some(event.wall_us);
                            found.foreign.extend(foreign.iter().cloned());
                        }
                    }
                    What::Halted { by } => self.halted_by = Some(by.clone()),
                    What::Released { .. } => self.halted_by = None,
                    What::Unknown { text } => {
                        self.damage.push(format!("line {at}: an event of another version: {text}"));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Adds an intent. A second intent of the same open injection replaces the first one only while the injection is armed: later the
    /// first one may have a more exact undo.
    fn armed(&mut self, intent: Intent) {
        let same = |found: &&mut Found| {
            let known = &found.intent;
            found.state.is_open() && known.run == intent.run && known.start_boot_us == intent.start_boot_us
        };
        match self.find(intent.id()).filter(same) {
            Some(found) if found.state == State::Armed => found.intent = intent,
            Some(_) => {}
            None => self.injections.push(Found::new(intent, State::Armed, Some(State::Armed))),
        }
    }

    /// Sets the end of an injection, if the event says that its effect is in force: the hold is counted from then.
    fn count_hold_from(&mut self, id: &InjectionId, event: &AgentEvent) {
        if let Some(found) = self.find(id)
            && matches!(event.what, What::Changed { to: State::InForce, .. })
            && found.state == State::InForce
            && found.intent.identity.boot_id == event.boot_id
        {
            found.intent.in_force_at(event.boot_us);
        }
    }

    /// Applies a change of an injection's state, which was found in the line with the number `at`.
    fn changed(&mut self, id: &InjectionId, to: State, at: usize) {
        let Some(step) = Step::leading_to(to) else { return };
        let Some(found) = self.find(id) else {
            self.damage.push(format!("line {at}: {id} changed, but was never armed; its intent is lost"));
            return;
        };
        match next(found.state, step) {
            Ok(state) => found.state = state,
            Err(illegal) => {
                // A record in between was lost. Undoing once more does no harm; leaving an effect would.
                found.state = if to == State::Disarmed { to } else { State::Undoing };
                self.damage.push(format!("line {at}: {id}: {illegal}; it is put back once more"));
            }
        }
    }
}

/// Replays a journal.
#[must_use]
pub fn replay(bytes: &[u8]) -> Replayed {
    let mut replayed = Replayed::default();
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    replayed.whole = u64::try_from(whole).unwrap_or(u64::MAX);
    replayed.torn = u64::try_from(bytes.len() - whole).unwrap_or(u64::MAX);
    for (at, line) in bytes[..whole].split_inclusive(|&byte| byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        match decode(line) {
            Ok(record) => replayed.take(record, at + 1),
            Err(why) => {
                let salvaged = salvage(line);
                replayed.damage.push(format!(
                    "line {}: {why}; {} of it could be read, the rest is lost",
                    at + 1,
                    if salvaged.is_empty() { "nothing" } else { "a part" }
                ));
                // The record may have been an event whose number a reader has seen.
                replayed.last_seq += 1;
                for record in salvaged {
                    replayed.take(record, at + 1);
                }
            }
        }
    }
    for found in &mut replayed.injections {
        found.journaled = Some(found.state);
    }
    if replayed.torn > 0 {
        replayed
            .damage
            .push(format!("the last record was never finished; its {} bytes are cut off", replayed.torn));
    }
    replayed
}
