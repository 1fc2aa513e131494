//! Limits undos of unknown runs and injections: each leaves a tombstone, and everybody with a certificate may ask for
//! any number. A limited number of them is journaled; all of them count in memory.

use std::time::{Duration, Instant};

/// Maximum number of tombstones that are journaled at once.
const MOST: u32 = 64;
/// The time after which one more is allowed.
const EVERY: Duration = Duration::from_secs(1);

/// Limits how many tombstones are journaled.
#[derive(Debug)]
pub(super) struct Bucket {
    left: u32,
    filled: Instant,
    refused: u64,
}

/// The decision about one tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is journaled.
    Journal,
    /// It counts in memory only. True if a warning is due.
    MemoryOnly(bool),
}

impl Bucket {
    pub(super) fn full() -> Self {
        Self { left: MOST, filled: Instant::now(), refused: 0 }
    }

    pub(super) fn take(&mut self) -> Verdict {
        self.take_after(self.filled.elapsed())
    }

    /// Takes one token; `ago` is the time since the bucket was filled last.
    fn take_after(&mut self, ago: Duration) -> Verdict {
        let more = u32::try_from(ago.as_millis() / EVERY.as_millis()).unwrap_or(MOST).min(MOST);
        if more > 0 {
            self.left = (self.left + more).min(MOST);
            self.filled = Instant::now();
        }
        if self.left > 0 {
            self.left -= 1;
            self.refused = 0;
            return Verdict::Journal;
        }
        self.refused += 1;
        Verdict::MemoryOnly(self.refused.is_power_of_two())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_journaled_in_part_and_told_seldom() {
        let mut bucket = Bucket::full();
        let now = Duration::ZERO;
        assert!((0..MOST).all(|_| bucket.take_after(now) == Verdict::Journal));
        let told = (0..1000).filter(|_| bucket.take_after(now) == Verdict::MemoryOnly(true)).count();
        assert_eq!(told, 10);
        assert_eq!(bucket.take_after(EVERY), Verdict::Journal);
        assert_eq!(bucket.take_after(now), Verdict::MemoryOnly(true));
        assert_eq!(bucket.take_after(EVERY * 1000), Verdict::Journal);
        assert_eq!(bucket.left, MOST - 1);
    }
}
