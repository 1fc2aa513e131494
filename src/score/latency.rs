//! Latencies as the vantages count them: HDR histograms, kept sparse, because a night of seconds must fit in memory.

use base64::Engine as _;
use hdrhistogram::{Histogram, serialization::Deserializer};

/// Counted latencies in microseconds, sorted; the same buckets at every vantage, so that merging loses nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies(Vec<(u64, u64)>);

impl Latencies {
    /// From a bin's text (HDR histogram V2, base64); the empty text is no latency at all.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn decode(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).map_err(|e| e.to_string())?;
        let histogram: Histogram<u64> =
            Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|e| e.to_string())?;
        Ok(Self(
            histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect(),
        ))
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// How many are at most so long.
    #[must_use]
    pub fn at_most(&self, us: u64) -> u64 {
        self.0.iter().take_while(|(value, _)| *value <= us).map(|(_, count)| count).sum()
    }

    /// All of them together.
    #[must_use]
    pub fn merge<'a>(many: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = std::collections::BTreeMap::<u64, u64>::new();
        for (value, count) in many.into_iter().flat_map(|one| &one.0) {
            *all.entry(*value).or_default() += count;
        }
        Self(all.into_iter().collect())
    }

    /// The quantile over these and `endless` more that never came; `None` if it is among the endless, or of nothing.
    #[must_use]
    pub fn quantile(&self, quantile: f64, endless: u64) -> Option<u64> {
        let all = self.total() + endless;
        let rank = (quantile.clamp(0.0, 1.0) * all as f64).ceil().max(1.0);
        let mut seen = 0_u64;
        self.0.iter().find_map(|(value, count)| {
            seen += count;
            (seen as f64 >= rank).then_some(*value)
        })
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
        assert!(Latencies::decode("not base64!").is_err());
        assert!(Latencies::decode("AAAA").is_err());
    }

    #[test]
    fn what_a_prober_writes_is_read() {
        use hdrhistogram::serialization::{Serializer as _, V2Serializer};
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).unwrap();
        for latency in [900, 12_345, 12_345, 2_000_000] {
            histogram.record(latency).unwrap();
        }
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(&histogram, &mut bytes).unwrap();
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        let read = Latencies::decode(&text).unwrap();
        assert_eq!((read.total(), read.at_most(13_000), read.at_most(100)), (4, 3, 0));
        let median = read.quantile(0.5, 0).unwrap();
        assert!((12_330..12_360).contains(&median), "{median}");
    }
}
