//! Finds the times in which the prober itself stood still: starved of CPU, stopped, or suspended with the machine.
//!
//! Requests that were in flight then were not measured: an answer may have lain unread in the kernel. Never reads a clock.

use std::collections::VecDeque;

/// The shortest standstill that is noted, and the least slip limit, in microseconds.
pub(crate) const FLOOR_US: u64 = 5000;

/// Maximum number of standstills that are remembered. Later ones are joined with the last one and with the gap between them.
const MOST: usize = 4096;

/// The times at which the pacer was to be back, and at which it was back too late.
#[derive(Debug)]
pub(crate) struct Stalls {
    /// The time at which the pacer is to be back.
    expected_us: u64,
    /// The time for which a standstill is remembered.
    keep_us: u64,
    /// The beginning and the end of each standstill, in their order.
    past: VecDeque<(u64, u64)>,
}

impl Stalls {
    /// Returns it without standstills. Each is remembered for `keep_us`, which is as long as a request can be under way.
    pub(crate) fn new(now_us: u64, keep_us: u64) -> Self {
        Self { expected_us: now_us, keep_us, past: VecDeque::new() }
    }

    /// Notes that the pacer sleeps and is to be back at `wake_us`.
    pub(crate) fn expect(&mut self, wake_us: u64) {
        self.expected_us = wake_us;
    }

    /// Notes that the pacer is back.
    pub(crate) fn beat(&mut self, now_us: u64) {
        let expected = self.expected_us;
        self.expected_us = now_us;
        while self.past.front().is_some_and(|(_, to)| to.saturating_add(self.keep_us) < expected) {
            self.past.pop_front();
        }
        if now_us.saturating_sub(expected) < FLOOR_US {
            return;
        }
        let full = self.past.len() >= MOST;
        match self.past.back_mut() {
            Some(last) if full => last.1 = now_us,
            _ => self.past.push_back((expected, now_us)),
        }
    }

    /// Whether the prober stood still for at least `limit_us` in one piece from `from_us` until `to_us`, which is now.
    pub(crate) fn within(&self, from_us: u64, to_us: u64, limit_us: u64) -> bool {
        // A standstill that the pacer has not noted yet counts as well, because an answer may be seen before the pacer is back.
        self.past
            .iter()
            .rev()
            .take_while(|(_, until)| *until > from_us)
            .copied()
            .chain([(self.expected_us, to_us)])
            .any(|(a, b)| b.min(to_us).saturating_sub(a.max(from_us)) >= limit_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standstills_are_seen_before_and_after_they_are_noted() {
        let mut stalls = Stalls::new(0, 1_000_000);
        stalls.expect(1000);
        assert!(!stalls.within(500, 1500, 5000), "a little late is not a standstill");
        assert!(stalls.within(500, 9000, 5000), "not noted yet");
        stalls.beat(9000);
        stalls.expect(10_000);
        assert!(stalls.within(500, 9100, 5000), "noted");
        assert!(!stalls.within(8000, 9100, 5000), "began near its end");
        assert!(!stalls.within(500, 9100, 25_000), "shorter than the limit");
    }

    #[test]
    fn memory_is_bounded_and_old_ones_are_forgotten() {
        let mut stalls = Stalls::new(0, u64::MAX);
        for n in 0..10_000_u64 {
            stalls.expect(n * 20_000);
            stalls.beat(n * 20_000 + 10_000);
        }
        assert_eq!(stalls.past.len(), MOST);
        assert!(stalls.within(199_900_000, 200_000_000, 5000), "still known, however many came before");
        stalls.keep_us = 1000;
        stalls.expect(900_000_000);
        stalls.beat(900_000_000);
        assert!(stalls.past.is_empty());
    }
}
