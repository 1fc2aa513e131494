//! The runs and injections that must never start, because they were undone before they were armed.

use firedrill_wire::{InjectionId, RunId, id};

use super::record::{Record, Tombstone};

/// The newest tombstones; the oldest are dropped first. Those of unknown runs and injections are kept apart, so that
/// they displace none of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tombstones {
    known: Stones,
    stray: Stones,
}

impl Tombstones {
    /// Maximum number of tombstones of known runs: far more than there can be messages in transit.
    pub const MOST: usize = 1024;
    /// Maximum number of tombstones of unknown runs and injections.
    pub const STRAY_MOST: usize = 512;

    /// Adds one; false if it existed.
    pub fn add(&mut self, stone: &Tombstone) -> bool {
        !self.known.has(stone) && self.known.push(stone, Self::MOST)
    }

    /// Adds one of an unknown run or injection; false if it existed.
    pub fn add_stray(&mut self, stone: &Tombstone) -> bool {
        !self.known.has(stone) && !self.stray.has(stone) && self.stray.push(stone, Self::STRAY_MOST)
    }

    /// Whether an injection of a run must not start.
    #[must_use]
    pub fn bar(&self, run: &RunId, injection: &InjectionId) -> bool {
        let stone = Tombstone::Injection(injection.clone());
        self.known.has(&stone) || self.stray.has(&stone) || self.bar_run(run)
    }

    /// Whether a whole run must not start anything.
    #[must_use]
    pub fn bar_run(&self, run: &RunId) -> bool {
        let stone = Tombstone::Run(run.clone());
        self.known.has(&stone) || self.stray.has(&stone)
    }

    /// Returns the same ones, with the memory that all known ones may ever take: a process that keeps them takes as much
    /// at its start as after many runs.
    #[must_use]
    pub fn with_room(&self) -> Self {
        Self { known: self.known.with_room(Self::MOST), stray: self.stray.clone() }
    }

    /// Returns all as records, those that are dropped first at the front.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let record = |stray| move |stone| Record::Tombstone { stone, stray };
        self.stray.iter().map(record(true)).chain(self.known.iter().map(record(false)))
    }
}

/// Maximum length of a tombstone's line, in bytes: its kind, an id and a line break.
const LINE_MOST: usize = id::MOST + 2;

/// Tombstones in one text, one line each after a leading line break. Many small long-lived allocations would each keep
/// a page of memory in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stones {
    text: String,
    count: usize,
}

impl Stones {
    /// Ids contain no line breaks.
    fn line(stone: &Tombstone) -> String {
        match stone {
            Tombstone::Injection(id) => format!("\ni{id}\n"),
            Tombstone::Run(run) => format!("\nr{run}\n"),
        }
    }

    fn has(&self, stone: &Tombstone) -> bool {
        self.text.contains(&Self::line(stone))
    }

    fn push(&mut self, stone: &Tombstone, most: usize) -> bool {
        if self.count >= most
            && let Some(end) = self.text.get(1..).and_then(|rest| rest.find('\n'))
        {
            self.text.drain(..=end);
            self.count -= 1;
        }
        let line = Self::line(stone);
        if self.text.capacity() - self.text.len() < line.len() {
            // One block, which is never enlarged again. Outside of the heap, where only what is written takes memory.
            self.text.reserve_exact(Self::room(most) - self.text.len());
        }
        // The leading line break is the one that ends the last line.
        self.text.push_str(if self.text.is_empty() { &line } else { &line[1..] });
        self.count += 1;
        true
    }

    /// Returns the maximum length of the text, in bytes.
    const fn room(most: usize) -> usize {
        1 + most * LINE_MOST
    }

    fn with_room(&self, most: usize) -> Self {
        let mut text = "\n".repeat(Self::room(most));
        text.clear();
        text.push_str(&self.text);
        Self { text, count: self.count }
    }

    fn iter(&self) -> impl Iterator<Item = Tombstone> {
        self.text.split_terminator('\n').filter_map(|line| match line.split_at_checked(1)? {
            ("i", id) => id.parse().ok().map(Tombstone::Injection),
            (_, run) => run.parse().ok().map(Tombstone::Run),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_has_the_memory_for_all_known_ones_at_its_start() {
        let longest = |number: usize| {
            Tombstone::Injection(format!("{number:0>most$}", most = id::MOST).parse().unwrap())
        };
        let mut before = Tombstones::default();
        assert!((0..10).all(|number| before.add(&longest(number))));
        let mut stones = before.with_room();
        assert_eq!(stones, before);
        let block = stones.known.text.as_ptr();
        assert!((10..3 * Tombstones::MOST).all(|number| stones.add(&longest(number))));
        assert_eq!(stones.known.text.as_ptr(), block, "it was enlarged");
        assert_eq!(stones.known.count, Tombstones::MOST);
        assert!(stones.known.has(&longest(2 * Tombstones::MOST)));
        assert!(!stones.known.has(&longest(2 * Tombstones::MOST - 1)));
    }
}
