//! What one second measured: counted while it is open, sealed into a [`Bin`] when it is complete.
//!
//! Never decides what a request was worth; the ledger does.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use firedrill_wire::probe::Bin;
use hdrhistogram::{
    Histogram,
    serialization::{Deserializer, Serializer, V2Serializer},
};

use crate::outcome::{Cause, Phases};

/// A bin's length in microseconds; bins begin at whole seconds of the clock.
pub const LENGTH_US: u64 = 1_000_000;

/// Significant decimal digits of the histograms.
const DIGITS: u8 = 3;

/// A bin's histogram could not be read.
#[derive(Debug, thiserror::Error)]
pub enum HistogramError {
    /// Not base64.
    #[error("the latency histogram of probe `{probe}` is not base64")]
    Text {
        /// The probe's name.
        probe: String,
        /// What is wrong.
        source: base64::DecodeError,
    },
    /// Not a V2 histogram.
    #[error("the latency histogram of probe `{probe}` is not in HdrHistogram's V2 format: {why}")]
    Format {
        /// The probe's name.
        probe: String,
        /// What is wrong.
        why: String,
    },
}

/// The latencies of a bin's good requests, in microseconds; empty where there were none. Others can be added to it,
/// however long theirs are.
///
/// # Errors
/// The bin's text is no histogram.
pub fn histogram(bin: &Bin) -> Result<Histogram<u64>, HistogramError> {
    let format = |why: &dyn std::fmt::Display| HistogramError::Format {
        probe: bin.probe.clone(),
        why: why.to_string(),
    };
    if bin.latency.is_empty() {
        return empty().map_err(|why| format(&why));
    }
    let bytes = BASE64_STANDARD
        .decode(&bin.latency)
        .map_err(|source| HistogramError::Text { probe: bin.probe.clone(), source })?;
    let mut bytes = bytes.as_slice();
    let mut read = Deserializer::new().deserialize::<u64, _>(&mut bytes).map_err(|why| format(&why))?;
    // So that another bin's, with longer latencies, can be added to it.
    read.auto(true);
    if bytes.is_empty() { Ok(read) } else { Err(format(&"bytes follow its end")) }
}

/// A histogram that grows to hold any latency.
pub(crate) fn empty() -> Result<Histogram<u64>, hdrhistogram::CreationError> {
    Histogram::new(DIGITS)
}

/// A second that is being counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How long it really was, where measuring ended within it.
    cut_us: Option<u64>,
    due: u64,
    good: u64,
    bad: BTreeMap<Cause, u64>,
    slipped: u64,
    worst_slip_us: u64,
    bad_span: Option<(u64, u64)>,
    latency: Option<Histogram<u64>>,
    phases: Phases,
}

impl Tally {
    /// One more was due; how it ends is told later.
    pub(crate) fn due(&mut self) {
        self.due += 1;
    }

    /// Measuring ended so long after its start.
    pub(crate) fn cut(&mut self, after_us: u64) {
        self.cut_us = Some(after_us.clamp(1, LENGTH_US));
    }

    /// Whether all that were due have ended.
    pub(crate) fn settled(&self) -> bool {
        self.due == self.good + self.slipped + self.bad.values().sum::<u64>()
    }

    /// So many were due and never started; the oldest of them was found so late.
    pub(crate) fn missed(&mut self, count: u64, late_us: u64) {
        self.due += count;
        self.slipped += count;
        self.worst_slip_us = self.worst_slip_us.max(late_us);
    }

    /// One started so late.
    pub(crate) fn started(&mut self, late_us: u64) {
        self.worst_slip_us = self.worst_slip_us.max(late_us);
    }

    /// One ended without having been measured.
    pub(crate) fn slipped(&mut self) {
        self.slipped += 1;
    }

    /// One was good, after so long from when it was due.
    pub(crate) fn good(&mut self, latency_us: u64, phases: Phases) {
        self.good += 1;
        self.phases.add(phases);
        if self.latency.is_none() {
            self.latency = empty().ok();
        }
        if let Some(latency) = &mut self.latency {
            // Grows as needed; `saturating_record` would not.
            let _ = latency.record(latency_us.max(1));
        }
    }

    /// One was bad; it was due at that microsecond of the bin.
    pub(crate) fn bad(&mut self, cause: Cause, offset_us: u64) {
        *self.bad.entry(cause).or_default() += 1;
        let (first, last) = self.bad_span.unwrap_or((offset_us, offset_us));
        self.bad_span = Some((first.min(offset_us), last.max(offset_us)));
    }

    /// The complete bin; its number is the spool's to give.
    pub(crate) fn seal(self, probe: &str, start_boot_us: u64, boot_id: &str) -> Bin {
        Bin {
            seq: 0,
            probe: probe.to_owned(),
            start_boot_us,
            boot_id: boot_id.to_owned(),
            length_us: self.cut_us.unwrap_or(LENGTH_US),
            due: self.due,
            good: self.good,
            bad: self.bad.into_iter().map(|(cause, count)| (cause.to_string(), count)).collect(),
            slipped: self.slipped,
            worst_slip_us: self.worst_slip_us,
            first_bad_us: self.bad_span.map(|(first, _)| first),
            last_bad_us: self.bad_span.map(|(_, last)| last),
            latency: self.latency.as_ref().map(encode).unwrap_or_default(),
            phases: self
                .phases
                .named()
                .into_iter()
                .filter(|(_, sum)| *sum > 0)
                .map(|(name, sum)| (name.to_owned(), sum))
                .collect(),
        }
    }
}

/// V2, base64. Writing to memory cannot fail; a count above `i64::MAX` cannot be.
fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    match V2Serializer::new().serialize(histogram, &mut bytes) {
        Ok(_) => BASE64_STANDARD.encode(bytes),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sealed(tally: Tally) -> Bin {
        tally.seal("users", 5_000_000, "boot")
    }

    #[test]
    fn a_bin_carries_what_was_counted() {
        let mut tally = Tally::default();
        for _ in 0..3 {
            tally.due();
        }
        tally.good(1500, Phases { connect: 200, first_byte: 1200, ..Phases::default() });
        tally.bad(Cause::Status(503), 700);
        assert!(!tally.settled());
        tally.bad(Cause::Timeout, 300);
        tally.missed(2, 9000);
        assert!(tally.settled());
        let bin = sealed(tally);
        assert_eq!((bin.due, bin.good, bin.bad_total(), bin.slipped), (5, 1, 2, 2));
        assert_eq!((bin.first_bad_us, bin.last_bad_us, bin.worst_slip_us), (Some(300), Some(700), 9000));
        assert_eq!(bin.bad.get("status 503"), Some(&1));
        assert_eq!(bin.phases.keys().collect::<Vec<_>>(), ["connect", "first_byte"]);
    }

    #[test]
    fn damaged_histograms_are_told_not_guessed() {
        let mut tally = Tally::default();
        tally.due();
        tally.good(1500, Phases::default());
        let whole = sealed(tally);
        for latency in
            ["%%".to_owned(), "AAAA".to_owned(), whole.latency[..whole.latency.len() - 4].to_owned(), {
                let mut twice = BASE64_STANDARD.decode(&whole.latency).unwrap();
                twice.push(0);
                BASE64_STANDARD.encode(twice)
            }]
        {
            let bin = Bin { latency, ..whole.clone() };
            assert!(histogram(&bin).is_err(), "{}", bin.latency);
        }
    }

    #[test]
    fn bins_add_up_in_any_order() {
        let one = |latency| {
            let mut tally = Tally::default();
            tally.due();
            tally.good(latency, Phases::default());
            histogram(&sealed(tally)).unwrap()
        };
        let mut sum = one(3);
        sum.add(one(250_000_000)).unwrap();
        sum.add(histogram(&sealed(Tally::default())).unwrap()).unwrap();
        assert_eq!((sum.len(), sum.min()), (2, 3));
        assert!(sum.max() >= 250_000_000);
    }

    proptest! {
        #[test]
        fn latencies_survive_to_three_digits(latencies in proptest::collection::vec(0_u64..600_000_000, 0..200)) {
            let mut tally = Tally::default();
            for latency in &latencies {
                tally.due();
                tally.good(*latency, Phases::default());
            }
            let read = histogram(&sealed(tally)).unwrap();
            prop_assert_eq!(read.len(), latencies.len() as u64);
            if let Some(most) = latencies.iter().max() {
                prop_assert!(read.max().abs_diff(*most) <= most / 1000 + 1);
            }
        }
    }
}
