//! Evaluates the packets of one interval for one question.

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, RandomState},
};

use hdrhistogram::Histogram;

use super::{
    line::{Form, Metric},
    query::Reads,
    sampled::{Lines, Sampling},
};

/// Maximum number of distinct values of a set that are kept for one interval.
pub(super) const MEMBERS: usize = 100_000;
/// Resolution of timings: the number of parts into which a unit is divided.
const PARTS: f64 = 1_000.0;
/// The largest timing that percentiles can include, in [`PARTS`]: 35 years if the unit is a millisecond.
const LARGEST: f64 = 1_125_899_906_842_624.0;

/// The values of one interval.
#[derive(Default)]
pub(super) struct Interval {
    /// Number of values, each multiplied by the inverse of its sample rate.
    count: f64,
    /// The sum of the values, each multiplied in the same way.
    sum: f64,
    /// The lowest and the highest value; `None` if there is none.
    range: Option<(f64, f64)>,
    lines: Lines,
    /// Only for percentiles, in [`PARTS`].
    timings: Option<Histogram<u64>>,
    /// Hashes of the values of a set.
    members: HashSet<u64>,
    /// Whether values of a set were left out because there were too many.
    is_full: bool,
    /// Number of lines that could not be used.
    pub(super) unreadable: u64,
    /// Whether there were metrics of another type.
    pub(super) other_form: bool,
    /// Whether any value arrived.
    pub(super) heard: bool,
}

/// The value of an interval, between two bounds. A bound that is not known is `NaN`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Value {
    pub(super) low: f64,
    pub(super) high: f64,
    /// Whether values of a set were left out because there were too many.
    pub(super) is_full: bool,
}

impl Interval {
    /// Adds the values of a metric that is not a gauge.
    pub(super) fn take(&mut self, reads: Reads, metric: &Metric<'_>, hasher: &RandomState) {
        self.heard = true;
        if metric.form == Form::Set {
            if self.members.len() < MEMBERS {
                self.members.insert(hasher.hash_one(metric.member()));
            } else {
                self.is_full |= !self.members.contains(&hasher.hash_one(metric.member()));
            }
            return;
        }
        let weight = 1.0 / metric.rate;
        for number in metric.numbers() {
            let value = number.value;
            self.lines.add(metric.rate, counts(metric, value));
            self.count += weight;
            self.sum += value * weight;
            self.range =
                Some(self.range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))));
            if matches!(reads, Reads::Percentile(_)) {
                self.record(value, weight);
            }
        }
    }

    /// Records a timing for percentiles, `weight` times.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value is within bounds, and a number of times is cut at the ends of the range"
    )]
    fn record(&mut self, value: f64, weight: f64) {
        let parts = (value * PARTS).round();
        if !(0.0..=LARGEST).contains(&parts) {
            self.unreadable += 1;
            return;
        }
        if self.timings.is_none() {
            self.timings = Histogram::new(3).ok();
        }
        let recorded =
            self.timings.as_mut().map(|timings| timings.record_n(parts as u64, weight.round() as u64));
        if recorded.is_none_or(|recorded| recorded.is_err()) {
            self.unreadable += 1;
        }
    }

    /// Returns the value as if no packet was lost. An interval without values counts 0, and has no minimum, maximum, mean or percentile:
    /// `None`. `seconds` is the interval's length.
    pub(super) fn value(&self, reads: Reads, form_is_counter: bool, seconds: f64) -> Option<Value> {
        let value = match reads {
            Reads::Count | Reads::Total => self.counted(form_is_counter),
            Reads::Rate => self.counted(form_is_counter) / seconds,
            Reads::Unique => self.members.len() as f64,
            Reads::Mean => (self.count > 0.0).then(|| self.sum / self.count)?,
            Reads::Min => self.range?.0,
            Reads::Max => self.range?.1,
            Reads::Percentile(thousandths) => {
                let timings = self.timings.as_ref().filter(|timings| !timings.is_empty())?;
                timings.value_at_quantile(f64::from(thousandths) / 100_000.0) as f64 / PARTS
            }
            Reads::Last => return None,
        };
        Some(Value { low: value, high: value, is_full: self.is_full })
    }

    /// Returns the bounds of the truth if only a share of all events was sent. `seconds` is the interval's length.
    pub(super) fn sampled(
        &self,
        sampling: &Sampling,
        reads: Reads,
        value: Value,
        seconds: f64,
    ) -> (f64, f64) {
        let ranks =
            |share: f64| self.timings.as_ref().map(|timings| timings.value_at_quantile(share) as f64 / PARTS);
        sampling.bounds(reads, value.high, (&self.lines, seconds), ranks)
    }

    /// Returns the bounds of the value if packets are missing, each `NaN` if it is not known. Without the missing packets, maxima and
    /// counts can only be too low and minima only too high. A total, a mean or a percentile may be wrong either way.
    pub(super) fn bounds(reads: Reads, value: Value) -> Value {
        let (low, high) = match reads {
            Reads::Count | Reads::Rate | Reads::Unique | Reads::Max => (f64::NAN, value.high),
            Reads::Min => (value.low, f64::NAN),
            Reads::Mean | Reads::Percentile(_) | Reads::Last | Reads::Total => (f64::NAN, f64::NAN),
        };
        Value { low, high, ..value }
    }

    /// Returns the sum of a counter, or the number of timings.
    const fn counted(&self, form_is_counter: bool) -> f64 {
        if form_is_counter { self.sum } else { self.count }
    }
}

/// Returns how much a value of a metric counts: that of a counter counts itself, and any other one event.
pub(super) fn counts(metric: &Metric<'_>, value: f64) -> f64 {
    if metric.form == Form::Counter { value } else { 1.0 }
}
