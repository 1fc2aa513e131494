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

/// Maximum number of different values of a set that are kept for one interval.
pub(super) const MEMBERS: usize = 100_000;
/// Resolution of timings: the number of parts of a unit.
const PARTS: f64 = 1_000.0;
/// The largest timing whose percentiles are known, in such parts: thirteen days in milliseconds.
const LARGEST: f64 = 1_125_899_906_842_624.0;

/// The packets of one interval.
#[derive(Default)]
pub(super) struct Interval {
    /// Number of values, each multiplied by the inverse of its sample rate.
    count: f64,
    sum: f64,
    /// The lowest and the highest value.
    range: Option<(f64, f64)>,
    lines: Lines,
    timings: Option<Histogram<u64>>,
    members: HashSet<u64>,
    is_full: bool,
    /// Number of lines that could not be used.
    pub(super) unreadable: u64,
    /// Whether there were metrics of another type.
    pub(super) other_form: bool,
    pub(super) heard: bool,
}

/// The value of an interval, between two bounds. A bound that is not known is `NaN`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Value {
    pub(super) low: f64,
    pub(super) high: f64,
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
        let times = 1.0 / metric.rate;
        for number in metric.numbers() {
            let value = number.value;
            self.lines.add(metric.rate, counts(metric, value));
            self.count += times;
            self.sum += value * times;
            self.range =
                Some(self.range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))));
            if matches!(reads, Reads::Percentile(_)) {
                self.record(value, times);
            }
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value is within bounds, and a number of times is cut at the ends of the range"
    )]
    fn record(&mut self, value: f64, times: f64) {
        let parts = (value * PARTS).round();
        if !(0.0..=LARGEST).contains(&parts) {
            self.unreadable += 1;
            return;
        }
        if self.timings.is_none() {
            self.timings = Histogram::new(3).ok();
        }
        let recorded =
            self.timings.as_mut().map(|timings| timings.record_n(parts as u64, times.round() as u64));
        if recorded.is_none_or(|recorded| recorded.is_err()) {
            self.unreadable += 1;
        }
    }

    /// Returns the value, as if no packet was lost. An interval without values counts 0; it has no minimum, maximum, mean or percentile.
    pub(super) fn value(&self, reads: Reads, form_is_counter: bool, seconds: f64) -> Option<Value> {
        let value = match reads {
            Reads::Count | Reads::Total => self.counted(form_is_counter),
            Reads::Rate => self.counted(form_is_counter) / seconds,
            Reads::Unique => self.members.len() as f64,
            Reads::Mean => (self.count > 0.0).then(|| self.sum / self.count)?,
            Reads::Min => self.range?.0,
            Reads::Max => self.range?.1,
            Reads::Percentile(all) => {
                let timings = self.timings.as_ref().filter(|timings| !timings.is_empty())?;
                timings.value_at_quantile(f64::from(all) / 100_000.0) as f64 / PARTS
            }
            Reads::Last => return None,
        };
        Some(Value { low: value, high: value, is_full: self.is_full })
    }

    /// Returns the bounds of the truth where only a share of all events was sent.
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

    /// Returns the bounds of the value if packets are missing: maxima and what is counted can only be higher, minima only lower. A
    /// counter that may fall has none.
    pub(super) fn bounds(reads: Reads, value: Value) -> Value {
        let (low, high) = match reads {
            Reads::Count | Reads::Rate | Reads::Unique | Reads::Max => (f64::NAN, value.high),
            Reads::Min => (value.low, f64::NAN),
            Reads::Mean | Reads::Percentile(_) | Reads::Last | Reads::Total => (f64::NAN, f64::NAN),
        };
        Value { low, high, ..value }
    }

    /// Returns what was counted: counters add up to their sum, and timings are counted.
    const fn counted(&self, form_is_counter: bool) -> f64 {
        if form_is_counter { self.sum } else { self.count }
    }
}

/// Returns what a value of a metric counts: that of a counter itself, and any other one event.
pub(super) fn counts(metric: &Metric<'_>, value: f64) -> f64 {
    if metric.form == Form::Counter { value } else { 1.0 }
}
