//! A rolling window over the newest bins of a run: for guards, for settling, and for the screen.
//!
//! Needs no log and judges nothing. Missing data is never guessed: `None` means that there are no fresh bins.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use firedrill_wire::{Span, probe::Bin};

use super::latency::Latencies;

/// The newest bins of every probe and vantage.
#[derive(Clone, Debug)]
pub struct Window {
    keep_us: i64,
    fresh_us: i64,
    /// The vantages that do not count.
    ignored: BTreeSet<String>,
    /// The kept bins by probe and vantage, in the order of time.
    bins: BTreeMap<String, BTreeMap<String, VecDeque<Slot>>>,
}

/// One bin.
#[derive(Clone, Debug)]
struct Slot {
    from_us: i64,
    until_us: i64,
    good: u64,
    bad: u64,
    latencies: Latencies,
}

impl Window {
    /// Creates a window that keeps bins for `keep`. A vantage whose newest bin ended more than `fresh` ago does not count. A bin
    /// comes a time-out after its end at the earliest, so `fresh` must be longer than the longest time-out.
    #[must_use]
    pub fn new(keep: Span, fresh: Span) -> Self {
        Self {
            keep_us: micros(keep),
            fresh_us: micros(fresh),
            ignored: BTreeSet::new(),
            bins: BTreeMap::new(),
        }
    }

    /// Excludes these vantages from now on, because they are on targets of the attack.
    pub fn ignore(&mut self, vantages: BTreeSet<String>) {
        self.ignored = vantages;
    }

    /// Adds a bin that began at `start_us` on the run's clock. A duplicate is ignored.
    pub fn push(&mut self, vantage: &str, start_us: i64, bin: &Bin) {
        let slots = self.bins.entry(bin.probe.clone()).or_default().entry(vantage.to_owned()).or_default();
        let length = i64::try_from(bin.length_us).unwrap_or(i64::MAX);
        let slot = Slot {
            from_us: start_us,
            until_us: start_us.saturating_add(length),
            good: bin.good,
            bad: bin.bad.values().fold(0, |sum, count| u64::saturating_add(sum, *count)),
            latencies: Latencies::of(bin).unwrap_or_default(),
        };
        // After a broken link, old bins come late, and some come twice.
        let place = slots.partition_point(|other| other.from_us < start_us);
        if slots.get(place).is_some_and(|other| other.from_us == start_us) {
            return;
        }
        slots.insert(place, slot);
        let newest = slots.back().map_or(0, |slot| slot.until_us);
        while slots.front().is_some_and(|slot| slot.until_us < newest.saturating_sub(self.keep_us)) {
            slots.pop_front();
        }
    }

    /// Returns the share of good requests of a probe over the last `over` before its newest bin, and the number of
    /// these requests, from all vantages that count and still report. `None` if none of them has fresh bins.
    #[must_use]
    pub fn good_share(&self, probe: &str, over: Span, now_us: i64) -> Option<(f64, u64)> {
        let (mut good, mut all) = (0_u64, 0_u64);
        for slot in self.recent(probe, over, now_us) {
            good = good.saturating_add(slot.good);
            all = all.saturating_add(slot.good.saturating_add(slot.bad));
        }
        (all > 0).then(|| (good as f64 / all as f64, all))
    }

    /// Returns a latency quantile in microseconds, in the same way; bad requests are infinitely slow. `None` if no vantage has
    /// fresh bins; `Some(None)` if the quantile is infinite.
    #[must_use]
    pub fn latency(&self, probe: &str, quantile: f64, over: Span, now_us: i64) -> Option<Option<u64>> {
        let slots: Vec<&Slot> = self.recent(probe, over, now_us).collect();
        let bad = slots.iter().map(|slot| slot.bad).sum();
        let all = Latencies::merge(slots.iter().map(|slot| &slot.latencies));
        (all.total().saturating_add(bad) > 0).then(|| all.quantile(quantile, bad))
    }

    /// Returns the vantages that count, have reported before, and have no fresh bins.
    #[must_use]
    pub fn silent(&self, probe: &str, now_us: i64) -> Vec<&str> {
        let vantages = self.bins.get(probe).into_iter().flatten();
        vantages
            .filter(|(vantage, slots)| !self.ignored.contains(*vantage) && !self.is_fresh(slots, now_us))
            .map(|(vantage, _)| vantage.as_str())
            .collect()
    }

    /// Whether the newest bin ended no longer than `fresh_us` before `now_us`.
    fn is_fresh(&self, slots: &VecDeque<Slot>, now_us: i64) -> bool {
        slots.back().is_some_and(|slot| slot.until_us >= now_us.saturating_sub(self.fresh_us))
    }

    /// Returns the bins of the last `over` before the newest one, from all vantages that count and have fresh bins.
    fn recent(&self, probe: &str, over: Span, now_us: i64) -> impl Iterator<Item = &Slot> {
        let fresh: Vec<&VecDeque<Slot>> = self
            .bins
            .get(probe)
            .into_iter()
            .flatten()
            .filter(|(vantage, slots)| !self.ignored.contains(*vantage) && self.is_fresh(slots, now_us))
            .map(|(_, slots)| slots)
            .collect();
        let newest = fresh.iter().filter_map(|slots| slots.back()).map(|slot| slot.until_us).max();
        let from = newest.map_or(i64::MAX, |newest| newest.saturating_sub(micros(over)));
        fresh.into_iter().flatten().filter(move |slot| slot.from_us >= from)
    }
}

fn micros(span: Span) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::bin;

    fn second(second: i64, good: u64, bad: u64) -> (i64, Bin) {
        (second * 1_000_000, bin("buy", second, good, bad))
    }

    #[test]
    fn the_share_is_over_the_newest_bins_of_vantages_that_count() {
        let mut window = Window::new(Span::secs(60), Span::secs(3));
        for (start, bin) in (0..20).map(|n| second(n, 90, 10)) {
            window.push("coordinator", start, &bin);
            window.push("app1", start, &self::bin("buy", start / 1_000_000, 0, 100));
        }
        window.ignore(BTreeSet::from(["app1".to_owned()]));
        assert_eq!(window.good_share("buy", Span::secs(5), 20_500_000), Some((0.9, 500)));
        assert_eq!(window.latency("buy", 0.99, Span::secs(5), 20_500_000), Some(None), "p99 has no answer");
        assert!(window.latency("buy", 0.5, Span::secs(5), 20_500_000).flatten().is_some());
        assert_eq!(window.good_share("other", Span::secs(5), 20_500_000), None);
    }

    #[test]
    fn old_bins_give_no_share() {
        let mut window = Window::new(Span::secs(60), Span::secs(3));
        let (start, bin) = second(0, 100, 0);
        window.push("coordinator", start, &bin);
        window.push("coordinator", start, &bin);
        assert_eq!(window.good_share("buy", Span::secs(5), 3_900_000), Some((1.0, 100)), "twice counts once");
        assert_eq!(window.good_share("buy", Span::secs(5), 4_100_000), None);
        assert_eq!(window.silent("buy", 4_100_000), ["coordinator"]);
    }
}
