//! Latencies as counted by vantages: HDR histograms in sparse form, because many hours of seconds must fit in memory.

use firedrill_wire::probe::Bin;

/// Counted latencies in microseconds, sorted. All vantages have the same buckets, so that merging loses nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies(Vec<(u64, u64)>);

impl Latencies {
    /// Reads the latencies of a bin.
    ///
    /// # Errors
    /// The bin's histogram cannot be read.
    pub fn of(bin: &Bin) -> Result<Self, firedrill_probe::bin::HistogramError> {
        if bin.latency.is_empty() {
            return Ok(Self::default());
        }
        let histogram = firedrill_probe::histogram(bin)?;
        Ok(Self(
            histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect(),
        ))
    }

    /// Returns the number of requests.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, (_, count)| u64::saturating_add(sum, *count))
    }

    /// Returns the number of latencies that are at most `us`.
    #[must_use]
    pub fn at_most(&self, us: u64) -> u64 {
        self.0.iter().take_while(|(value, _)| *value <= us).map(|(_, count)| count).sum()
    }

    /// Merges counts.
    #[must_use]
    pub fn merge<'a>(many: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = std::collections::BTreeMap::<u64, u64>::new();
        for (value, count) in many.into_iter().flat_map(|one| &one.0) {
            *all.entry(*value).or_default() += count;
        }
        Self(all.into_iter().collect())
    }

    /// Returns the latency with a rank, from 1 on; `None` for rank 0 and above their number.
    #[must_use]
    pub fn ranked(&self, rank: u64) -> Option<u64> {
        let mut seen = 0_u64;
        self.0.iter().filter(|_| rank > 0).find_map(|(value, count)| {
            seen += count;
            (seen >= rank).then_some(*value)
        })
    }

    /// Returns the quantile over these and `endless` infinite latencies; `None` if it is infinite, or if there are
    /// none.
    #[must_use]
    pub fn quantile(&self, quantile: f64, endless: u64) -> Option<u64> {
        let all = self.total() + endless;
        let rank = (quantile.clamp(0.0, 1.0) * all as f64).ceil().max(1.0);
        self.ranked(firedrill_statistics::whole(rank))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_without_an_answer_are_endless() {
        let fast = Latencies(vec![(1000, 98)]);
        assert_eq!(fast.quantile(0.98, 2), Some(1000));
        assert_eq!(fast.quantile(0.99, 2), None);
        assert_eq!(Latencies::default().quantile(0.5, 0), None);
    }

    #[test]
    fn cells_of_a_prober_are_read_back() {
        let bin = crate::testing::bin("buy", 1, 100, 0);
        let read = Latencies::of(&bin).unwrap();
        assert_eq!((read.total(), read.at_most(100), read.at_most(60_000)), (100, 0, 100));
        let median = read.quantile(0.5, 0).unwrap();
        assert!((15_000..17_000).contains(&median), "{median}");
        assert!(Latencies::of(&Bin { latency: "AAAA".to_owned(), ..bin }).is_err());
    }
}
