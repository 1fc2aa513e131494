//! The claims and the end of injections, for comparisons of the host. Takes little memory, and always the same memory. Never reads the
//! journal.

use firedrill_wire::{
    InjectionId, RunId,
    api::{About, Claim},
    journal::State,
};
use serde::{Deserialize, Serialize};

use crate::{journal::Intent, snapshot::Other};

/// Maximum number of injections that are over and are kept for comparisons; the journal has the others.
const MOST: usize = 5;
/// The size of each block for a text, in bytes: enough for most injections.
const ROOM: usize = 1024;

/// The injections that are over and are kept, in the order of their ends. Their texts are in blocks that are allocated once and
/// used again: a new small block for each injection would each keep another page of memory in use.
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

    /// Keeps an injection that ended at `ended_boot_us` (CLOCK_BOOTTIME, microseconds; `None` if that is not known). If there are too
    /// many, the one that ended first is forgotten, which may be this one. Returns the end of the forgotten one; `None` if none was
    /// forgotten.
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
        // A longer text may have enlarged the block.
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
    /// The length of the id, in bytes.
    id_bytes: usize,
    pub(super) state: State,
    /// The time at which it ended (CLOCK_BOOTTIME, microseconds); `None` if that is not known.
    ended_boot_us: Option<u64>,
}

impl Kept {
    /// Whether it is the past of this injection.
    pub(super) fn is_of(&self, id: &InjectionId) -> bool {
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
    /// Run, drill and operator, for people.
    label: String,
    /// Its claims. Empty if it has nothing to undo, because the host was already in the wanted state before it.
    pub(super) claims: Vec<Claim>,
    pub(super) state: State,
    /// Changes by others that its undo found.
    pub(super) foreign: Vec<String>,
    /// The time at which it ended, by the wall clock in microseconds; `None` if it has not, or if that is not known.
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

    /// Returns it as the comparison of another run needs it, whose snapshot was taken at `since_wall_us`. Its claims are left out if it ended
    /// before; objects with its name belong to it at any time.
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
    fn the_injections_that_ended_last_are_kept_in_the_same_blocks() {
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
        let kept: Vec<_> = list.iter().map(|kept| kept.past().unwrap().0).collect();
        assert_eq!(kept, [5, 6, 7, 8, 9].map(id));
        assert!(list.iter().any(|kept| kept.is_of(&id(7)) && kept.past().unwrap().1 == past(300)));
        let mut blocks: Vec<_> = list.iter().map(|kept| kept.text.as_ptr()).collect();
        first.sort();
        blocks.sort();
        assert_eq!(blocks, first);
        // A long text takes more memory only as long as it is kept.
        list.keep(&id(10), &past(5000), Some(10));
        for ended in 11..20 {
            list.keep(&id(ended), &past(300), Some(ended));
        }
        assert!(list.iter().all(|kept| kept.text.capacity() == ROOM));
    }
}
