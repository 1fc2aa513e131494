//! The part of an injection that comparisons of hosts need. Small, because many are kept.

use firedrill_wire::{
    InjectionId, RunId,
    api::{About, Claim},
    journal::State,
};
use serde::{Deserialize, Serialize};

use crate::{journal::Intent, snapshot::Other};

/// Maximum number of injections that are over and are kept for comparisons; the journal has the others.
const MOST: usize = 5;
/// The size of each block for a text, in bytes: enough for most.
const ROOM: usize = 1024;

/// The injections that are over and are kept, in the order of their ends. Their texts lie in blocks that are made once and
/// used again: each small block that is kept keeps a whole page in use, at another place for each injection.
#[derive(Debug)]
pub(super) struct PastList {
    kept: Vec<Kept>,
    /// Blocks for further texts.
    spare: Vec<String>,
}

impl Default for PastList {
    fn default() -> Self {
        let block = |_| String::with_capacity(ROOM);
        Self { kept: Vec::with_capacity(MOST), spare: (0..MOST).map(block).collect() }
    }
}

impl PastList {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter()
    }

    /// Keeps an injection that is over (at that moment of CLOCK_BOOTTIME, in microseconds) in place of the one that ended
    /// first, if there are many. Returns the end of that one, or of this one if it cannot be kept.
    pub(super) fn keep(
        &mut self,
        id: &InjectionId,
        past: &Past,
        ended_boot_us: Option<u64>,
    ) -> Option<Option<u64>> {
        let Ok(json) = serde_json::to_string(past) else { return Some(ended_boot_us) };
        let at = self.kept.partition_point(|known| known.ended_boot_us <= ended_boot_us);
        let is_full = self.kept.len() >= MOST;
        if is_full && at == 0 {
            return Some(ended_boot_us);
        }
        let oldest = is_full.then(|| self.kept.remove(0));
        let forgotten = oldest.as_ref().map(|oldest| oldest.ended_boot_us);
        let mut text = oldest.map(|oldest| oldest.text).or_else(|| self.spare.pop()).unwrap_or_default();
        text.clear();
        // A longer text had enlarged it.
        text.shrink_to(ROOM);
        text.push_str(id.as_str());
        text.push_str(&json);
        let kept = Kept { text, id_bytes: id.as_str().len(), state: past.state, ended_boot_us };
        self.kept.insert(at - usize::from(is_full), kept);
        forgotten
    }
}

/// An injection's id and its [`Past`].
#[derive(Debug)]
pub(super) struct Kept {
    /// The injection's id, and its past as JSON.
    text: String,
    id_bytes: usize,
    pub(super) state: State,
    /// The time at which it ended (CLOCK_BOOTTIME, microseconds).
    ended_boot_us: Option<u64>,
}

impl Kept {
    /// Whether it is of this injection.
    pub(super) fn is(&self, id: &InjectionId) -> bool {
        self.text.get(..self.id_bytes) == Some(id.as_str())
    }

    /// Returns the injection's id and its past; `None` if they cannot be read.
    pub(super) fn past(&self) -> Option<(InjectionId, Past)> {
        let (id, past) = self.text.split_at_checked(self.id_bytes)?;
        Some((id.parse().ok()?, serde_json::from_str(past).ok()?))
    }
}

/// The claims of an injection and its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Past {
    pub(super) run: RunId,
    /// For people: run, drill and operator.
    label: String,
    /// Its claims. Empty if it has nothing to undo, because everything was already as somebody else had set it.
    pub(super) claims: Vec<Claim>,
    pub(super) state: State,
    /// Changes by others that its undo found.
    pub(super) foreign: Vec<String>,
    /// The time at which it ended, by the wall clock in microseconds.
    pub(super) ended_wall_us: Option<u64>,
}

impl Past {
    pub(super) fn of(intent: &Intent, state: State, foreign: &[String], ended_wall_us: Option<u64>) -> Self {
        let prepared = &intent.live.prepared;
        let touched = !prepared.undo.is_empty() || !intent.live.ask.fault.reversible();
        let About { drill, operator, .. } = &intent.about;
        Self {
            run: intent.run.clone(),
            label: format!("run {} ({drill}, by {operator})", intent.run),
            claims: if touched { prepared.claims.clone() } else { Vec::new() },
            state,
            foreign: foreign.to_vec(),
            ended_wall_us,
        }
    }

    /// Returns it as seen by another run whose snapshot was taken at that time. Objects with its name belong to it at
    /// any time.
    pub(super) fn into_other(self, injection: InjectionId, since_wall_us: u64) -> Other {
        let in_time = self.ended_wall_us.is_none_or(|ended| ended >= since_wall_us);
        // An injection that has not started has only objects with its name.
        let touched = in_time && !matches!(self.state, State::Armed | State::Disarmed);
        let claims = if touched { self.claims } else { Vec::new() };
        Other { injection, claims, open: self.state.is_open(), run: self.label }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_ended_last_are_kept_in_the_same_blocks() {
        let mut list = PastList::default();
        let mut first: Vec<*const u8> = list.spare.iter().map(|text| text.as_ptr()).collect();
        let past = |label: usize| Past {
            run: "r1".parse().unwrap(),
            label: "x".repeat(label),
            claims: Vec::new(),
            state: State::Undone,
            foreign: Vec::new(),
            ended_wall_us: None,
        };
        let id = |number: u64| -> InjectionId { format!("i{number}").parse().unwrap() };
        let order = [3, 1, 2, 5, 4, 7, 6, 9, 0, 8];
        let forgotten: Vec<_> = order
            .iter()
            .filter_map(|&ended| list.keep(&id(ended), &past(300), Some(ended)).flatten())
            .collect();
        assert_eq!(forgotten, [1, 2, 3, 0, 4]);
        let kept: Vec<_> = list.iter().map(|one| one.past().unwrap().0).collect();
        assert_eq!(kept, [5, 6, 7, 8, 9].map(id));
        assert!(list.iter().any(|one| one.is(&id(7)) && one.past().unwrap().1 == past(300)));
        let mut blocks: Vec<_> = list.iter().map(|one| one.text.as_ptr()).collect();
        first.sort();
        blocks.sort();
        assert_eq!(blocks, first);
        // A long one takes more for as long as it is kept.
        list.keep(&id(10), &past(5000), Some(10));
        for ended in 11..20 {
            list.keep(&id(ended), &past(300), Some(ended));
        }
        assert!(list.iter().all(|one| one.text.capacity() == ROOM));
    }
}
