//! Compares the write record with what a store has. Pure: entries and found records in, classes out. Never says whether a loss is allowed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use firedrill_wire::writes::{Counts, Example};

use super::{
    entry::{Entry, Kind, NO_CAUSE},
    store::Found,
};
use crate::outcome::Cause;

/// Maximum number of examples of each class that are told: the first ones, and the last ones.
pub const EXAMPLES: usize = 20;

/// For examples that are no losses which only the second pass saw.
const NOT_LATE: bool = false;

/// The outcome of a write, over all of its attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// At least one attempt was acknowledged.
    Acked,
    /// All attempts were refused.
    Refused,
    /// No attempt was acknowledged, and at least one may have been done.
    Unknown,
}

/// One write of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// The time at which it was due, by the vantage's clock.
    pub due_us: u64,
    /// The time of its outcome, or of its intent if it has no outcome.
    pub at_us: u64,
    /// Its outcome.
    pub outcome: Outcome,
    /// The cause of an outcome that is not acknowledged; [`NO_CAUSE`] without one.
    pub code: u32,
    /// Whether an earlier read-back told that it is lost.
    pub missed: bool,
    /// Attempts without an outcome so far.
    open: u32,
    /// Whether an attempt may have been done, and was not acknowledged.
    unknown: bool,
}

/// The writes of a record by number.
pub type Writes = BTreeMap<u64, Write>;

/// Returns the writes that entries tell of. The entries are in the order of the files.
pub fn writes(entries: impl IntoIterator<Item = Entry>) -> Writes {
    let mut all = Writes::new();
    for entry in entries {
        let Entry { kind, code, attempt: _, seq, due_us, at_us } = entry;
        if kind == Kind::Missed {
            if let Some(write) = all.get_mut(&seq) {
                write.missed = true;
            }
            continue;
        }
        let new = Write {
            due_us,
            at_us,
            outcome: Outcome::Unknown,
            code: NO_CAUSE,
            missed: false,
            open: 0,
            unknown: false,
        };
        let write = all.entry(seq).or_insert(new);
        match kind {
            Kind::Intent => write.open += 1,
            Kind::Acked | Kind::Refused | Kind::Unknown => write.open = write.open.saturating_sub(1),
            Kind::Missed => {}
        }
        write.unknown |= kind == Kind::Unknown;
        let acked = write.outcome == Outcome::Acked || kind == Kind::Acked;
        if kind != Kind::Intent && (write.outcome != Outcome::Acked) {
            (write.at_us, write.code) = (at_us, code);
        }
        write.outcome = match kind {
            _ if acked => Outcome::Acked,
            _ if write.open == 0 && !write.unknown => Outcome::Refused,
            _ => Outcome::Unknown,
        };
    }
    all
}

/// The records that one pass found, by the numbers of their writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// The number of times that each record was found, and the value that it had the last time.
    found: HashMap<u64, (u32, u64)>,
    /// Records whose key ends with no number.
    strange: u64,
}

impl Pass {
    /// Counts one record whose key begins with the prefix. Others are not counted.
    pub fn add(&mut self, prefix: &str, found: &Found) {
        let Some(number) = found.key.strip_prefix(prefix) else { return };
        match number.parse::<u64>() {
            Ok(seq) if seq.to_string() == number => {
                let (times, value) = self.found.entry(seq).or_default();
                *times += 1;
                *value = found.value;
            }
            _ => self.strange += 1,
        }
    }

    fn times(&self, seq: u64) -> u32 {
        self.found.get(&seq).map_or(0, |(times, _)| *times)
    }
}

/// The result of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    /// The number of writes in each class.
    pub counts: Counts,
    /// The numbers of all acknowledged writes that are lost and that no earlier read-back told.
    pub newly_lost: Vec<u64>,
    /// The first and the last of these.
    pub lost: Vec<Example>,
    /// The first and the last of the refused writes that the store has.
    pub ghosts: Vec<Example>,
}

/// Compares the writes that had been recorded before the first of two passes with what the passes found. `known` are the numbers of all writes
/// that had been announced by the end of the second: a record of another number is foreign.
///
/// A record that only the second pass found is there: the first pass did not ask the authority, or asked it too early. A record that only
/// the first pass found is gone.
#[must_use]
pub fn classify(writes: &Writes, known: &BTreeSet<u64>, first: &Pass, second: &Pass) -> Classes {
    let mut classes = Classes::default();
    let mut lost: Vec<Example> = Vec::new();
    let mut ghosts: Vec<Example> = Vec::new();
    let counts = &mut classes.counts;
    for (seq, write) in writes {
        let (before, now) = (first.times(*seq), second.times(*seq));
        let example = |late| Example {
            seq: *seq,
            due_us: write.due_us,
            at_us: write.at_us,
            late,
            cause: (write.code != NO_CAUSE).then(|| Cause::words_of(write.code)),
        };
        match write.outcome {
            Outcome::Acked => {
                counts.acked += 1;
                counts.duplicate += u64::from(before.max(now) > 1);
                if now > 0 {
                    counts.kept += 1;
                    counts.stale += u64::from(before == 0 || write.missed);
                    let value = second.found.get(seq).map(|(_, value)| *value);
                    counts.altered += u64::from(value.is_some_and(|value| value != write.due_us));
                } else if write.missed {
                    counts.lost_before += 1;
                } else {
                    let late = before > 0;
                    *(if late { &mut counts.lost_late } else { &mut counts.lost }) += 1;
                    classes.newly_lost.push(*seq);
                    lost.push(example(late));
                }
            }
            Outcome::Refused => {
                counts.refused += 1;
                if before > 0 || now > 0 {
                    counts.ghost += 1;
                    ghosts.push(example(NOT_LATE));
                }
            }
            Outcome::Unknown if now > 0 => counts.unknown_present += 1,
            Outcome::Unknown => counts.unknown_absent += 1,
        }
    }
    let foreign = second.found.keys().filter(|seq| !known.contains(seq)).count() as u64;
    counts.foreign = foreign + second.strange;
    classes.lost = ends(lost);
    classes.ghosts = ends(ghosts);
    classes
}

/// Returns the first and the last examples, [`EXAMPLES`] at most.
fn ends(mut all: Vec<Example>) -> Vec<Example> {
    let half = EXAMPLES / 2;
    if all.len() > EXAMPLES {
        let last = all.len() - half;
        all.drain(half..last);
    }
    all
}
