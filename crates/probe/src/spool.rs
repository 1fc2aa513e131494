//! Keeps measurements for any number of readers, up to a maximum of memory.
//!
//! Numbers rise by one with each bin. Where memory ran out the oldest bins are dropped, never the newest. A reader sees that by the numbers:
//! they do not go on from the last one that it had.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use firedrill_wire::{logs::LogBin, probe::Bin};
use futures_util::{Stream, stream};
use tokio::sync::watch;

/// The memory that a spool may use, in bytes. A bin takes from 300 bytes to about 4 KiB (thousands of requests a
/// second, widely spread), so that four probes fit for at least four hours, as a rule for days.
pub const MEMORY: usize = 64 * 1024 * 1024;

/// A measurement that a spool keeps.
pub trait Spooled: Clone {
    /// Gives the measurement its number.
    fn number(&mut self, seq: u64);
    /// Returns the number of the measurement.
    fn seq(&self) -> u64;
    /// Returns an upper estimate of the memory that the measurement takes, in bytes.
    fn size(&self) -> usize;
}

/// Bins with rising numbers. Cheap to share; readers never disturb the prober for longer than a copy of one bin.
#[derive(Debug)]
pub struct Spool<T = Bin> {
    kept: Mutex<Kept<T>>,
    news: watch::Sender<()>,
    memory: usize,
}

#[derive(Debug)]
struct Kept<T> {
    bins: VecDeque<T>,
    bytes: usize,
    last: u64,
    writers: usize,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { bins: VecDeque::new(), bytes: 0, last: 0, writers: 0 }
    }
}

impl<T> Kept<T> {
    fn from(&self, after: u64) -> usize {
        let first = self.last - self.bins.len() as u64;
        usize::try_from(after.saturating_sub(first)).unwrap_or(usize::MAX).min(self.bins.len())
    }
}

impl Spool {
    /// Returns an empty spool of [`MEMORY`].
    #[must_use]
    pub fn new() -> Arc<Self> {
        Self::with_memory(MEMORY)
    }
}

impl<T: Spooled> Spool<T> {
    /// Returns an empty spool of so many bytes.
    #[must_use]
    pub fn with_memory(memory: usize) -> Arc<Self> {
        Arc::new(Self { kept: Mutex::default(), news: watch::Sender::new(()), memory })
    }

    /// Returns all bins that are kept and have a number above `after`, the oldest first.
    #[must_use]
    pub fn after(&self, after: u64) -> Vec<T> {
        let kept = self.kept();
        kept.bins.range(kept.from(after)..).cloned().collect()
    }

    /// Returns the number of the newest bin; 0 before the first.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.kept().last
    }

    /// Returns all bins with a number above `after`, then those that are to come. Ends when no prober writes any more and all bins were handed
    /// out.
    pub fn feed(self: &Arc<Self>, after: u64) -> impl Stream<Item = T> + Send + use<T>
    where
        T: Send + 'static,
    {
        let news = self.news.subscribe();
        stream::unfold((Arc::clone(self), news, after), |(spool, mut news, after)| async move {
            loop {
                // This comes before the look, so that a bin that comes between the look and the wait wakes this feed.
                news.mark_unchanged();
                let (next, ended) = {
                    let kept = spool.kept();
                    (kept.bins.get(kept.from(after)).cloned(), kept.writers == 0)
                };
                if let Some(bin) = next {
                    let seq = bin.seq();
                    return Some((bin, (spool, news, seq)));
                }
                if ended || news.changed().await.is_err() {
                    return None;
                }
            }
        })
    }

    /// Returns the end that a prober writes to. Readers' feeds go on as long as there is one.
    pub fn writer(self: &Arc<Self>) -> Writer<T> {
        self.kept().writers += 1;
        Writer(Arc::clone(self))
    }

    fn kept(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end that a prober writes to.
#[derive(Debug)]
pub struct Writer<T: Spooled = Bin>(Arc<Spool<T>>);

impl<T: Spooled> Writer<T> {
    /// Gives the bin its number and keeps it, dropping the oldest where there is no room.
    pub fn push(&self, mut bin: T) {
        let mut kept = self.0.kept();
        kept.last += 1;
        bin.number(kept.last);
        kept.bytes += bin.size();
        kept.bins.push_back(bin);
        while kept.bytes > self.0.memory
            && kept.bins.len() > 1
            && let Some(oldest) = kept.bins.pop_front()
        {
            kept.bytes -= oldest.size();
        }
        drop(kept);
        self.0.news.send_replace(());
    }
}

impl<T: Spooled> Drop for Writer<T> {
    fn drop(&mut self) {
        self.0.kept().writers -= 1;
        self.0.news.send_replace(());
    }
}

impl Spooled for Bin {
    fn number(&mut self, seq: u64) {
        self.seq = seq;
    }

    fn seq(&self) -> u64 {
        self.seq
    }

    fn size(&self) -> usize {
        size(self)
    }
}

impl Spooled for LogBin {
    fn number(&mut self, seq: u64) {
        self.seq = seq;
    }

    fn seq(&self) -> u64 {
        self.seq
    }

    fn size(&self) -> usize {
        self.size()
    }
}

fn size(bin: &Bin) -> usize {
    const ALLOCATION: usize = 16;
    // A map's node is allocated whole, for eleven entries of a text and a number.
    const NODE: usize = 11 * 32 + 16;
    // A map's node has at least so many entries.
    const NODE_LEAST: usize = 5;
    // The number of texts of a bin: two names, two histograms, and the outcomes.
    const TEXTS: usize = 5;
    let maps = [&bin.bad, &bin.phases].into_iter().map(|map| {
        map.len().div_ceil(NODE_LEAST) * NODE + map.keys().map(|key| key.len() + ALLOCATION).sum::<usize>()
    });
    size_of::<Bin>()
        + bin.probe.len()
        + bin.boot_id.len()
        + bin.latency.len()
        + bin.lateness.len()
        + bin.requests.as_ref().map_or(0, |requests| requests.outcomes.len())
        + TEXTS * ALLOCATION
        + maps.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    fn bin(start: u64) -> Bin {
        crate::bin::Tally::default().seal("p", start, "boot")
    }

    fn seqs(bins: &[Bin]) -> Vec<u64> {
        bins.iter().map(|bin| bin.seq).collect()
    }

    #[test]
    fn the_oldest_go_and_the_gap_shows() {
        let spool = Spool::with_memory(5 * size(&bin(0)));
        let writer = spool.writer();
        for n in 0..8 {
            writer.push(bin(n));
        }
        assert_eq!(seqs(&spool.after(0)), [4, 5, 6, 7, 8]);
        assert_eq!(seqs(&spool.after(6)), [7, 8]);
        assert!(spool.after(8).is_empty() && spool.after(u64::MAX).is_empty());
        assert_eq!((spool.last_seq(), spool.after(7)[0].start_boot_us), (8, 7));
        assert!(spool.kept().bytes <= spool.memory);
    }

    #[test]
    fn four_probes_fit_for_four_hours() {
        let mut wide = bin(0);
        wide.boot_id = "0".repeat(36);
        wide.latency = "x".repeat(700);
        wide.phases = ["connect", "first_byte"].map(|name| (name.to_owned(), 1)).into();
        assert!(size(&wide) * 4 * 4 * 3600 <= MEMORY * 13 / 10, "{}", size(&wide));
    }

    #[tokio::test]
    async fn a_feed_goes_on_over_a_change_of_writer_and_ends_after_the_last() {
        let spool = Spool::new();
        let first = spool.writer();
        first.push(bin(1));
        let reader = tokio::spawn(spool.feed(0).collect::<Vec<_>>());
        tokio::task::yield_now().await;
        let second = spool.writer();
        first.push(bin(2));
        drop(first);
        tokio::task::yield_now().await;
        second.push(bin(3));
        drop(second);
        assert_eq!(seqs(&reader.await.unwrap()), [1, 2, 3]);
        assert_eq!(spool.feed(1).count().await, 2, "what was measured stays to be read");
    }
}
