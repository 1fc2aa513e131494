//! Limits the tombstones of unknown runs and injections in the journal: each undo leaves one, and everybody with a certificate may ask
//! for any number of undos. All tombstones count in memory. Never refuses an undo.

/// Maximum number of tombstones that are journaled at once.
const MOST: u32 = 64;
/// The time after which one more is allowed, in microseconds.
const EVERY_US: u64 = 1_000_000;

/// A token bucket: each journaled tombstone takes a token.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Number of tokens.
    left: u32,
    /// The time at which tokens were last added (CLOCK_MONOTONIC, microseconds).
    filled_us: u64,
    /// Number of tombstones in a row that got no token.
    refused: u64,
}

/// The decision about one tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is journaled.
    Journal,
    /// It counts in memory only. True if a warning is due: at the 1st, 2nd, 4th, 8th … such tombstone in a row.
    MemoryOnly(bool),
}

impl Bucket {
    /// Makes a bucket with all tokens. `now_us` is the present time by CLOCK_MONOTONIC.
    pub(super) const fn full(now_us: u64) -> Self {
        Self { left: MOST, filled_us: now_us, refused: 0 }
    }

    /// Takes one token at that time.
    pub(super) fn take(&mut self, now_us: u64) -> Verdict {
        let more = now_us.saturating_sub(self.filled_us) / EVERY_US;
        if more > 0 {
            self.left = u32::try_from(more).unwrap_or(MOST).saturating_add(self.left).min(MOST);
            self.filled_us = now_us;
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
    fn a_flood_is_journaled_in_part_and_causes_few_warnings() {
        let mut now = 7;
        let mut bucket = Bucket::full(now);
        assert!((0..MOST).all(|_| bucket.take(now) == Verdict::Journal));
        let warnings = (0..1000).filter(|_| bucket.take(now) == Verdict::MemoryOnly(true)).count();
        assert_eq!(warnings, 10);
        now += EVERY_US;
        assert_eq!(bucket.take(now), Verdict::Journal);
        assert_eq!(bucket.take(now), Verdict::MemoryOnly(true));
        now += EVERY_US * 1000;
        assert_eq!(bucket.take(now), Verdict::Journal);
        assert_eq!(bucket.left, MOST - 1);
    }
}
