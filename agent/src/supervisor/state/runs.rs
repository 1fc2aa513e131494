//! The runs that are remembered, in one block of memory. Never decides which run is forgotten.

use firedrill_wire::{RunId, id::MOST};

use super::run::Run;

/// Maximum number of runs in memory.
pub(super) const RUNS_MOST: usize = 64;

/// Runs in the order of their ids. They are in one block of memory, which is allocated once: a separate small block for each run would
/// each keep a whole page in use.
pub(in crate::supervisor) struct Runs(Vec<(Key, Run)>);

/// A run's id, without a separate block of memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// The id, and zeros after it. No id contains a zero.
    bytes: [u8; MOST],
}

impl Default for Key {
    fn default() -> Self {
        Self { bytes: [0; MOST] }
    }
}

impl Key {
    fn of(id: &RunId) -> Self {
        let mut bytes = [0; MOST];
        bytes.iter_mut().zip(id.as_str().bytes()).for_each(|(to, from)| *to = from);
        Self { bytes }
    }

    fn as_str(&self) -> &str {
        let text = self.bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl Default for Runs {
    fn default() -> Self {
        // One more than the maximum: a new run is added before an old one is forgotten.
        let mut runs = Vec::with_capacity(RUNS_MOST + 1);
        // Each place is written once, so that the whole block is in memory from the start.
        runs.resize_with(RUNS_MOST + 1, || (Key::default(), Run::default()));
        runs.clear();
        Self(runs)
    }
}

impl Runs {
    /// Returns the index of a run, or the index at which it would be inserted as the error.
    fn place(&self, id: &RunId) -> Result<usize, usize> {
        let key = Key::of(id);
        self.0.binary_search_by(|(known, _)| known.cmp(&key))
    }

    pub(in crate::supervisor) fn len(&self) -> usize {
        self.0.len()
    }

    pub(in crate::supervisor) fn contains_key(&self, id: &RunId) -> bool {
        self.place(id).is_ok()
    }

    pub(in crate::supervisor) fn get(&self, id: &RunId) -> Option<&Run> {
        self.place(id).ok().map(|at| &self.0[at].1)
    }

    pub(in crate::supervisor) fn get_mut(&mut self, id: &RunId) -> Option<&mut Run> {
        self.place(id).ok().map(|at| &mut self.0[at].1)
    }

    /// Returns a run. If it is not known, adds it first.
    pub(in crate::supervisor) fn get_or_new(&mut self, id: &RunId) -> &mut Run {
        let at = self.place(id).unwrap_or_else(|at| {
            self.0.insert(at, (Key::of(id), Run::default()));
            at
        });
        &mut self.0[at].1
    }

    /// Removes a run. Returns whether it was there.
    pub(in crate::supervisor) fn remove(&mut self, id: &RunId) -> bool {
        let Ok(at) = self.place(id) else { return false };
        self.0.remove(at);
        self.0.shrink_to(RUNS_MOST + 1);
        true
    }

    /// Returns the runs with their ids.
    pub(in crate::supervisor) fn iter(&self) -> impl Iterator<Item = (&str, &Run)> {
        self.0.iter().map(|(key, run)| (key.as_str(), run))
    }

    /// Returns copies of the ids.
    pub(in crate::supervisor) fn ids(&self) -> impl Iterator<Item = RunId> {
        self.0.iter().filter_map(|(key, _)| key.as_str().parse().ok())
    }

    pub(in crate::supervisor) fn values(&self) -> impl Iterator<Item = &Run> {
        self.0.iter().map(|(_, run)| run)
    }

    pub(in crate::supervisor) fn values_mut(&mut self) -> impl Iterator<Item = &mut Run> {
        self.0.iter_mut().map(|(_, run)| run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_by_ids_of_every_length_and_stay_in_one_block() {
        let mut runs = Runs::default();
        let block = runs.0.as_ptr();
        let mut ids: Vec<String> = (1..=MOST).map(|length| "z".repeat(length)).collect();
        ids.extend(["a".into(), "a-1".into(), "0".into(), "z-".into()]);
        for id in ids.iter().rev() {
            runs.get_or_new(&id.parse().unwrap()).heard_boot_us = id.len() as u64;
        }
        assert!("z".repeat(MOST + 1).parse::<RunId>().is_err(), "no id is longer");
        ids.sort();
        let known: Vec<String> = runs.ids().map(|id| id.to_string()).collect();
        assert_eq!(known, ids);
        for id in &ids {
            let id: RunId = id.parse().unwrap();
            assert_eq!(runs.get(&id).unwrap().heard_boot_us, id.as_str().len() as u64);
            runs.remove(&id);
            assert!(!runs.contains_key(&id));
        }
        // Many more runs than are kept: each new one displaces an old one.
        for n in 0..1000 {
            runs.get_or_new(&format!("run-{n:04}").parse().unwrap());
            if runs.len() > RUNS_MOST {
                let first = runs.ids().next().unwrap();
                runs.remove(&first);
            }
        }
        assert_eq!((runs.len(), runs.0.as_ptr()), (RUNS_MOST, block));
    }
}
