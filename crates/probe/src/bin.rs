//! The counters of one second: counted while it is open, sealed into a [`Bin`] when it is complete.
//!
//! Never decides what a request was worth; the ledger does.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use firedrill_wire::probe::{Bin, Requests};
use hdrhistogram::{
    Histogram,
    serialization::{Deserializer, Serializer, V2Serializer},
};

use crate::{
    outcome::{Cause, Phases},
    requests::{Outcome, pack},
};

/// A bin's length in microseconds; bins begin at whole seconds of the clock.
pub const LENGTH_US: u64 = 1_000_000;

/// Significant decimal digits of the histograms.
const DIGITS: u8 = 3;

/// Requests that start no later than this are on time, in microseconds. Their lateness is not worth a line in the log.
pub const ON_TIME_US: u64 = 1000;

/// A bin's histogram could not be read.
#[derive(Debug, thiserror::Error)]
pub enum HistogramError {
    /// Not base64.
    #[error("a histogram of probe `{probe}` is not base64")]
    Text {
        /// The probe's name.
        probe: String,
        /// The error.
        source: base64::DecodeError,
    },
    /// Not a V2 histogram.
    #[error("a histogram of probe `{probe}` is not in HdrHistogram's V2 format: {why}")]
    Format {
        /// The probe's name.
        probe: String,
        /// The error.
        why: String,
    },
}

/// Returns the latencies of a bin's good requests, in microseconds; empty where there were none. Other histograms can be added to it,
/// however long their latencies are.
///
/// # Errors
/// The bin's text is no histogram.
pub fn histogram(bin: &Bin) -> Result<Histogram<u64>, HistogramError> {
    read(bin, &bin.latency)
}

/// Returns the delays of the starts of a bin's requests, in microseconds; empty where none was more than a millisecond late.
///
/// # Errors
/// The bin's text is no histogram.
pub fn lateness(bin: &Bin) -> Result<Histogram<u64>, HistogramError> {
    read(bin, &bin.lateness)
}

fn read(bin: &Bin, text: &str) -> Result<Histogram<u64>, HistogramError> {
    let format = |why: &dyn std::fmt::Display| HistogramError::Format {
        probe: bin.probe.clone(),
        why: why.to_string(),
    };
    if text.is_empty() {
        return empty().map_err(|why| format(&why));
    }
    let bytes = BASE64_STANDARD
        .decode(text)
        .map_err(|source| HistogramError::Text { probe: bin.probe.clone(), source })?;
    let mut bytes = bytes.as_slice();
    let mut read = Deserializer::new().deserialize::<u64, _>(&mut bytes).map_err(|why| format(&why))?;
    // So that another bin's, with longer latencies, can be added to it.
    read.auto(true);
    if bytes.is_empty() { Ok(read) } else { Err(format(&"bytes follow its end")) }
}

/// Returns an empty histogram, which grows to hold any latency.
pub(crate) fn empty() -> Result<Histogram<u64>, hdrhistogram::CreationError> {
    Histogram::new(DIGITS)
}

/// A second that is being counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The real length of the second, where measuring ended within it.
    cut_us: Option<u64>,
    /// The number of the first request that was due, and when, in microseconds after the start.
    first: Option<(u64, u64)>,
    /// The end of each request, in the order in which they were due; `None` for one that has not ended.
    ends: Vec<Option<Outcome>>,
    open: usize,
    good: u64,
    bad: BTreeMap<Cause, u64>,
    slipped: u64,
    worst_slip_us: u64,
    bad_span: Option<(u64, u64)>,
    latency: Option<Histogram<u64>>,
    lateness: Option<Histogram<u64>>,
    phases: Phases,
}

/// The place of a request in its bin, in the order in which they were due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(usize);

impl Tally {
    /// Counts a request that was due, with that number and so long after the bin's start. Its end is told later.
    pub(crate) fn due(&mut self, number: u64, offset_us: u64) -> Place {
        self.first.get_or_insert((number, offset_us));
        self.ends.push(None);
        self.open += 1;
        Place(self.ends.len() - 1)
    }

    /// Notes that measuring ended so long after the bin's start.
    pub(crate) fn cut(&mut self, after_us: u64) {
        self.cut_us = Some(after_us.clamp(1, LENGTH_US));
    }

    /// Whether all requests that were due have ended.
    pub(crate) fn settled(&self) -> bool {
        self.open == 0
    }

    /// Counts requests that were due and never started. The first of them has the number `number` and was found
    /// `late_us` late.
    pub(crate) fn missed(&mut self, number: u64, offset_us: u64, count: u64, late_us: u64) {
        self.first.get_or_insert((number, offset_us));
        self.ends.extend((0..count).map(|_| Some(Outcome::Slipped)));
        self.slipped += count;
        self.worst_slip_us = self.worst_slip_us.max(late_us);
    }

    /// Notes that a request started so late.
    pub(crate) fn started(&mut self, late_us: u64) {
        self.worst_slip_us = self.worst_slip_us.max(late_us);
        record(&mut self.lateness, late_us);
    }

    /// Counts a request that ended without having been measured.
    pub(crate) fn slipped(&mut self, place: Place) {
        if self.end(place, Outcome::Slipped) {
            self.slipped += 1;
        }
    }

    /// Counts a good request. `latency_us` is the time from when it was sent.
    pub(crate) fn good(&mut self, place: Place, latency_us: u64, phases: Phases) {
        if !self.end(place, Outcome::Good) {
            return;
        }
        self.good += 1;
        self.phases.add(phases);
        record(&mut self.latency, latency_us);
    }

    /// Ends a request. Returns false if it had ended before.
    fn end(&mut self, place: Place, outcome: Outcome) -> bool {
        match self.ends.get_mut(place.0) {
            Some(end @ None) => {
                *end = Some(outcome);
                self.open -= 1;
                true
            }
            _ => false,
        }
    }

    /// Counts a bad request, which was due at that microsecond of the bin.
    pub(crate) fn bad(&mut self, place: Place, cause: Cause, offset_us: u64) {
        if !self.end(place, Outcome::Bad) {
            return;
        }
        *self.bad.entry(cause).or_default() += 1;
        let (first, last) = self.bad_span.unwrap_or((offset_us, offset_us));
        self.bad_span = Some((first.min(offset_us), last.max(offset_us)));
    }

    /// Returns the complete bin. The spool gives it its number.
    pub(crate) fn seal(self, probe: &str, start_boot_us: u64, boot_id: &str) -> Bin {
        // A request without an end was not measured.
        let outcomes: Vec<Outcome> = self.ends.iter().map(|end| end.unwrap_or(Outcome::Slipped)).collect();
        let late = self.worst_slip_us > ON_TIME_US;
        Bin {
            seq: 0,
            probe: probe.to_owned(),
            start_boot_us,
            boot_id: boot_id.to_owned(),
            length_us: self.cut_us.unwrap_or(LENGTH_US),
            due: self.ends.len() as u64,
            good: self.good,
            bad: self.bad.into_iter().map(|(cause, count)| (cause.to_string(), count)).collect(),
            slipped: self.slipped,
            worst_slip_us: self.worst_slip_us,
            lateness: self.lateness.as_ref().filter(|_| late).map(encode).unwrap_or_default(),
            requests: self.first.map(|(first, first_us)| Requests {
                first,
                first_us,
                outcomes: pack(&outcomes),
            }),
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

/// Counts a time, in microseconds.
fn record(histogram: &mut Option<Histogram<u64>>, us: u64) {
    if histogram.is_none() {
        *histogram = empty().ok();
    }
    if let Some(histogram) = histogram {
        // Grows as needed; `saturating_record` would not.
        let _ = histogram.record(us.max(1));
    }
}

/// Returns a histogram in the format V2, in base64. Writing to memory cannot fail, and no count is above `i64::MAX`.
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
        let [first, second, third] = [300, 500, 700].map(|offset| tally.due(41, offset));
        tally.good(second, 1500, Phases { connect: 200, first_byte: 1200, ..Phases::default() });
        tally.bad(third, Cause::Status(503), 700);
        assert!(!tally.settled());
        tally.bad(first, Cause::Timeout, 300);
        tally.slipped(first);
        tally.missed(44, 800, 2, 9000);
        assert!(tally.settled());
        let bin = sealed(tally);
        assert_eq!((bin.due, bin.good, bin.bad_total(), bin.slipped), (5, 1, 2, 2));
        assert_eq!((bin.first_bad_us, bin.last_bad_us, bin.worst_slip_us), (Some(300), Some(700), 9000));
        assert_eq!(bin.bad.get("status 503"), Some(&1));
        let requests = bin.requests.unwrap();
        assert_eq!((requests.first, requests.first_us), (41, 300));
        assert_eq!(BASE64_STANDARD.decode(requests.outcomes).unwrap(), [0b11_10_01_10, 0b11]);
        assert_eq!(bin.phases.keys().collect::<Vec<_>>(), ["connect", "first_byte"]);
    }

    #[test]
    fn damaged_histograms_are_told_not_guessed() {
        let mut tally = Tally::default();
        let place = tally.due(0, 0);
        tally.good(place, 1500, Phases::default());
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
            let place = tally.due(0, 0);
            tally.good(place, latency, Phases::default());
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
                let place = tally.due(0, 0);
                tally.good(place, *latency, Phases::default());
            }
            let read = histogram(&sealed(tally)).unwrap();
            prop_assert_eq!(read.len(), latencies.len() as u64);
            if let Some(most) = latencies.iter().max() {
                prop_assert!(read.max().abs_diff(*most) <= most / 1000 + 1);
            }
        }
    }
}
