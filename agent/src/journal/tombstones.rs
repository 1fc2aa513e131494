//! Tombstones: the runs and injections that must never start again, because they were undone or their caller is no longer trusted. Kept
//! in bounded memory. Never reads or writes the journal, and decides nothing about what is undone.

use firedrill_wire::{InjectionId, RunId, id};

use super::record::{Record, Tombstone};

/// The newest tombstones; the oldest are dropped first. Those of runs and injections that this agent does not know ("stray") are kept
/// apart, so that they displace none of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tombstones {
    known: TombstoneList,
    stray: TombstoneList,
}

impl Tombstones {
    /// Maximum number of tombstones of known runs. A tombstone must outlive every delayed request to arm, and those are far fewer.
    pub const MOST: usize = 1024;
    /// Maximum number of tombstones of unknown runs and injections.
    pub const STRAY_MOST: usize = 512;

    /// Adds a tombstone. Returns whether it is new among those of known runs.
    pub fn add(&mut self, stone: &Tombstone) -> bool {
        let new = !self.known.has(stone);
        if new {
            self.known.push(stone, Self::MOST);
        }
        new
    }

    /// Adds a tombstone of an unknown run or injection. Returns whether it is new.
    pub fn add_stray(&mut self, stone: &Tombstone) -> bool {
        let new = !self.has(stone);
        if new {
            self.stray.push(stone, Self::STRAY_MOST);
        }
        new
    }

    /// Whether an injection of a run must not start.
    #[must_use]
    pub fn bars(&self, run: &RunId, injection: &InjectionId) -> bool {
        self.has(&Tombstone::Injection(injection.clone())) || self.bars_run(run)
    }

    /// Whether a whole run must not start anything.
    #[must_use]
    pub fn bars_run(&self, run: &RunId) -> bool {
        self.has(&Tombstone::Run(run.clone()))
    }

    fn has(&self, stone: &Tombstone) -> bool {
        self.known.has(stone) || self.stray.has(stone)
    }

    /// Returns a copy with all the memory that tombstones of known runs may ever need, so that an agent's memory does not grow with its
    /// runs. Memory for strays, which are rare, is allocated when they come.
    #[must_use]
    pub fn preallocated(&self) -> Self {
        Self { known: self.known.preallocated(Self::MOST), stray: self.stray.clone() }
    }

    /// Returns all tombstones as records: the strays, then those of known runs; in each group the oldest first.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let strays = self.stray.iter().map(|stone| Record::Tombstone { stone, stray: true });
        let known = self.known.iter().map(|stone| Record::Tombstone { stone, stray: false });
        strays.chain(known)
    }
}

/// Maximum length of a tombstone's line, in bytes: its kind, an id and a line break.
const LINE_MOST: usize = id::MOST + 2;

/// Tombstones in one text, one line each after a leading line break: `"\niabc\nrdef\n"`. One text is one allocation: many small
/// long-lived allocations would each keep a page of memory in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct TombstoneList {
    text: String,
    count: usize,
}

impl TombstoneList {
    /// Returns the kind and the id between two line breaks. No id contains a line break, so a match in the text is always a whole line.
    fn line(stone: &Tombstone) -> String {
        match stone {
            Tombstone::Injection(id) => format!("\ni{id}\n"),
            Tombstone::Run(run) => format!("\nr{run}\n"),
        }
    }

    fn has(&self, stone: &Tombstone) -> bool {
        self.text.contains(&Self::line(stone))
    }

    fn push(&mut self, stone: &Tombstone, most: usize) {
        // The second line break ends the oldest line; it becomes the leading one.
        let second = self.text.match_indices('\n').nth(1).map(|(at, _)| at);
        if let Some(second) = second.filter(|_| self.count >= most) {
            self.text.drain(..second);
            self.count -= 1;
        }
        let line = Self::line(stone);
        if self.text.capacity() - self.text.len() < line.len() {
            // The full size is allocated at once, so that the text is never moved again.
            self.text.reserve_exact(Self::max_bytes(most) - self.text.len());
        }
        // The leading line break is the one that ends the last line.
        self.text.push_str(if self.text.is_empty() { &line } else { &line[1..] });
        self.count += 1;
    }

    /// Returns the maximum length of the text, in bytes.
    const fn max_bytes(most: usize) -> usize {
        1 + most * LINE_MOST
    }

    fn preallocated(&self, most: usize) -> Self {
        // Each byte is written once, so that the pages are in memory.
        let mut text = "\n".repeat(Self::max_bytes(most));
        text.clear();
        text.push_str(&self.text);
        Self { text, count: self.count }
    }

    fn iter(&self) -> impl Iterator<Item = Tombstone> {
        // The first line is empty: nothing is before the leading line break.
        self.text.lines().skip(1).filter_map(|line| match line.split_at_checked(1)? {
            ("i", id) => id.parse().ok().map(Tombstone::Injection),
            ("r", run) => run.parse().ok().map(Tombstone::Run),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tombstones_of_known_runs_never_outgrow_the_memory_that_they_have_at_the_start() {
        let longest = |number: usize| {
            Tombstone::Injection(format!("{number:0>most$}", most = id::MOST).parse().unwrap())
        };
        let mut before = Tombstones::default();
        assert!((0..10).all(|number| before.add(&longest(number))));
        let mut stones = before.preallocated();
        assert_eq!(stones, before);
        let block = stones.known.text.as_ptr();
        assert!((10..3 * Tombstones::MOST).all(|number| stones.add(&longest(number))));
        assert_eq!(stones.known.text.as_ptr(), block, "it was enlarged");
        assert_eq!(stones.known.count, Tombstones::MOST);
        assert!(stones.known.has(&longest(2 * Tombstones::MOST)));
        assert!(!stones.known.has(&longest(2 * Tombstones::MOST - 1)));
    }
}
