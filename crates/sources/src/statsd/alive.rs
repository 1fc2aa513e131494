//! Decides from the times of a sender's packets whether the sender was alive.

use std::collections::VecDeque;

/// Maximum number of silences that are kept for one sender.
const MAX_SILENCES: usize = 256;

/// The times at which packets of one sender, or of one metric, arrived, in microseconds of one clock.
#[derive(Debug)]
pub(super) struct Stream {
    /// The time from which on all long silences are known.
    first_us: i64,
    /// The arrival of the last packet.
    last_us: i64,
    /// The silences that were longer than is allowed, each with its beginning and end, in order.
    silences: VecDeque<(i64, i64)>,
}

impl Stream {
    pub(super) const fn new(at_us: i64) -> Self {
        Self { first_us: at_us, last_us: at_us, silences: VecDeque::new() }
    }

    /// Records the arrival of a packet. `within_us` is the longest silence that is allowed.
    pub(super) fn heard(&mut self, at_us: i64, within_us: i64) {
        if at_us - self.last_us > within_us {
            self.silences.push_back((self.last_us, at_us));
            if self.silences.len() > MAX_SILENCES
                && let Some((_, until_us)) = self.silences.pop_front()
            {
                self.first_us = until_us;
            }
        }
        self.last_us = self.last_us.max(at_us);
    }

    pub(super) const fn last_us(&self) -> i64 {
        self.last_us
    }

    /// Whether the sender was alive between two moments: no part of that time lies in a silence longer than `within_us`. The caller has
    /// read all packets that arrived up to `read_us`.
    pub(super) fn is_alive(&self, from_us: i64, until_us: i64, read_us: i64, within_us: i64) -> bool {
        let silent = |(start, end): &(i64, i64)| *start < until_us && *end > from_us;
        self.first_us <= from_us
            && !self.silences.iter().rev().take_while(|(_, end)| *end > from_us).any(silent)
            && (self.last_us >= until_us || read_us - self.last_us <= within_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_that_was_too_long_counts_from_its_beginning() {
        let mut stream = Stream::new(10);
        for at in [13, 16, 30, 33] {
            stream.heard(at, 5);
        }
        let alive = |from, until, read| stream.is_alive(from, until, read, 5);
        assert!(!alive(9, 12, 40), "nothing is known before the first packet");
        assert!(alive(10, 16, 40));
        assert!(!alive(14, 17, 40), "it fell silent at 16, and may have died at any time after that");
        assert!(!alive(20, 25, 40) && !alive(29, 31, 40));
        assert!(alive(30, 33, 90));
        assert!(alive(31, 36, 38), "the silence is not yet too long");
        assert!(!alive(31, 36, 39));
    }

    #[test]
    fn the_time_of_forgotten_silences_counts_as_not_known() {
        let mut stream = Stream::new(0);
        for at in 1..=1_000 {
            stream.heard(at * 10, 5);
            stream.heard(at * 10 + 1, 5);
        }
        assert!(stream.silences.len() <= MAX_SILENCES);
        assert!(!stream.is_alive(10, 11, 11_000, 5) && stream.is_alive(9_990, 9_991, 10_001, 5));
    }
}
