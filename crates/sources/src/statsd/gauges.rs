//! The gauges of one question: a series for each set of tags.

use std::collections::{HashMap, VecDeque};

use super::line::Metric;

/// Maximum number of series of one question.
pub(super) const SERIES: usize = 1_000;

/// All series, and what they were at the end of each interval in which any of them was sent.
#[derive(Default)]
pub(super) struct Gauges {
    series: HashMap<String, Gauge>,
    /// The lowest and the highest value since the interval began.
    range: Option<(f64, f64)>,
    is_full: bool,
    /// Number of packets that were lost since all values were known, and the last time at which one may have been.
    lost: u64,
    lost_us: i64,
    /// The states at the ends of intervals, in order.
    ends: VecDeque<(i64, State)>,
}

/// A series.
struct Gauge {
    /// The value; `None` if only changes were sent since nobody knows what it was.
    value: Option<f64>,
    set_us: i64,
}

impl Gauge {
    /// Returns its value, unless a later one may have been lost.
    fn known(&self, lost_us: i64) -> Option<f64> {
        self.value.filter(|_| self.set_us > lost_us)
    }
}

/// All series at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct State {
    pub(super) low: f64,
    pub(super) high: f64,
    /// The lowest and the highest value in the interval.
    pub(super) lowest: f64,
    pub(super) highest: f64,
    /// The time at which the oldest was sent.
    pub(super) oldest_us: i64,
    pub(super) series: u32,
    /// Whether there is a series whose value is not known.
    pub(super) open: bool,
    /// Number of packets that were lost since all values were known.
    pub(super) lost: u64,
    pub(super) is_full: bool,
}

impl Gauges {
    /// Takes values of a series. `changes` says that a sign means a change; if not, it means a negative number.
    pub(super) fn take(&mut self, metric: &Metric<'_>, at_us: i64, changes: bool) {
        let mut tags: Vec<&str> = metric.tags().collect();
        tags.sort_unstable();
        let key = tags.join(",");
        if self.series.len() >= SERIES && !self.series.contains_key(&key) {
            self.is_full = true;
            return;
        }
        let lost_us = self.lost_us;
        let gauge = self.series.entry(key).or_insert(Gauge { value: None, set_us: at_us });
        for number in metric.numbers() {
            gauge.value = if changes && number.signed {
                gauge.known(lost_us).map(|value| value + number.value)
            } else {
                Some(number.value)
            };
            gauge.set_us = at_us;
            if let Some(value) = gauge.value {
                self.range =
                    Some(self.range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))));
            }
        }
    }

    /// Packets may have been lost until a moment, so what changed is not known until a value is sent after it.
    pub(super) fn lost(&mut self, until_us: i64, packets: u64) {
        self.lost = self.lost.saturating_add(packets);
        self.lost_us = self.lost_us.max(until_us);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The interval is over.
    pub(super) fn end(&mut self, index: i64, most: usize) {
        if self.series.is_empty() {
            return;
        }
        let known = self.series.values().filter_map(|gauge| gauge.known(self.lost_us));
        let (low, high) = known
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        // What was in force when the interval began was so in it.
        let before = self.ends.back().map(|(_, state)| (state.low, state.high));
        let all = self.range.take().into_iter().chain(before.filter(|(low, high)| low <= high));
        let (lowest, highest) =
            all.fold((low, high), |(low, high), (one, other)| (low.min(one), high.max(other)));
        let open = self.series.values().any(|gauge| gauge.known(self.lost_us).is_none());
        self.lost = if open { self.lost } else { 0 };
        let state = State {
            low,
            high,
            lowest,
            highest,
            oldest_us: self.series.values().map(|gauge| gauge.set_us).min().unwrap_or(0),
            series: u32::try_from(self.series.len()).unwrap_or(u32::MAX),
            open,
            lost: self.lost,
            is_full: self.is_full,
        };
        self.ends.push_back((index, state));
        if self.ends.len() > most {
            self.ends.pop_front();
        }
    }

    /// Returns the state at the end of an interval.
    pub(super) fn at(&self, index: i64) -> Option<State> {
        let next = self.ends.partition_point(|(at, _)| *at <= index);
        let (at, state) = self.ends.get(next.checked_sub(1)?)?;
        // In a later interval nothing was sent: the value stayed.
        Some(if *at == index { *state } else { State { lowest: state.low, highest: state.high, ..*state } })
    }
}
