//! The gauges of one question: a series for each set of tags. Times are microseconds of the listener's clock.

use std::collections::{HashMap, VecDeque};

use super::line::Metric;

/// Maximum number of series of one question.
pub(super) const SERIES: usize = 1_000;
/// Maximum number of losses that are kept apart.
const LOSSES: usize = 64;

/// All series, and their states at the ends of the intervals in which any of them was sent.
pub(super) struct Gauges {
    /// Length of an interval.
    every_us: i64,
    /// By their sorted tags.
    series: HashMap<String, Gauge>,
    /// The lowest and the highest value that was sent since the interval began; `None` if none was sent.
    range: Option<(f64, f64)>,
    /// Whether series were left out because there were too many.
    is_full: bool,
    /// Losses since the oldest value was sent, in the order in which they were noticed.
    losses: VecDeque<Loss>,
    /// The states at the ends of intervals, each with the interval's index, in order.
    ends: VecDeque<(i64, State)>,
}

/// A series.
struct Gauge {
    /// The value; `None` if only changes were sent since it was last known.
    value: Option<f64>,
    /// The last time at which the value was known.
    set_us: i64,
}

/// A time in which values may have been sent that were not read.
#[derive(Clone, Copy, Debug)]
struct Loss {
    from_us: i64,
    until_us: i64,
    count: Lost,
}

/// Numbers of packets that were dropped, of lines that could not be read, and of lines that were read too late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) packets: u64,
    pub(super) lines: u64,
    pub(super) late: u64,
}

impl Lost {
    const fn plus(self, other: Self) -> Self {
        Self {
            packets: self.packets.saturating_add(other.packets),
            lines: self.lines.saturating_add(other.lines),
            late: self.late.saturating_add(other.late),
        }
    }
}

/// All series at the end of an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct State {
    /// The values at the end.
    pub(super) last: Values,
    /// The values at any time of the interval; `None` if nothing was known when it began.
    pub(super) within: Option<Values>,
    /// Number of series.
    pub(super) series: u32,
    /// Whether series were left out because there were too many.
    pub(super) is_full: bool,
}

/// The known values of all series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Values {
    /// The lowest value; infinite if none is known.
    pub(super) low: f64,
    /// The highest value; minus infinite if none is known.
    pub(super) high: f64,
    /// The time at which the oldest value was sent.
    pub(super) oldest_us: i64,
    /// Whether there may be other values: the value of a series is not known, or one may have been lost.
    pub(super) open: bool,
    /// The losses for which there may be other values; zero if that has another reason.
    pub(super) lost: Lost,
}

/// The lowest and the highest of no values. Any value makes this range wider.
const NONE: (f64, f64) = (f64::INFINITY, f64::NEG_INFINITY);

/// Returns the range that includes both ranges.
fn wider((low, high): (f64, f64), (other_low, other_high): (f64, f64)) -> (f64, f64) {
    (low.min(other_low), high.max(other_high))
}

impl Gauges {
    pub(super) fn new(every_us: i64) -> Self {
        Self {
            every_us,
            series: HashMap::new(),
            range: None,
            is_full: false,
            losses: VecDeque::new(),
            ends: VecDeque::new(),
        }
    }

    /// Takes values of a series. `changes` says whether a sign before a value means a change; if not, the value is the signed number.
    pub(super) fn take(&mut self, metric: &Metric<'_>, at_us: i64, changes: bool) {
        let mut tags: Vec<&str> = metric.tags().collect();
        tags.sort_unstable();
        let key = tags.join(",");
        if self.series.len() >= SERIES && !self.series.contains_key(&key) {
            self.is_full = true;
            return;
        }
        let losses = &self.losses;
        let gauge = self.series.entry(key).or_insert(Gauge { value: None, set_us: at_us });
        for number in metric.numbers() {
            gauge.value = if changes && number.signed {
                gauge.known(losses, at_us).map(|value| value + number.value)
            } else {
                Some(number.value)
            };
            if let Some(value) = gauge.value {
                gauge.set_us = gauge.set_us.max(at_us);
                self.range = Some(self.range.map_or((value, value), |range| wider(range, (value, value))));
            }
        }
    }

    /// Records that values may have been lost between two moments. From that time on, no value is known until it is sent again. This applies to the
    /// values of series, and to those at the ends of intervals that were over already.
    pub(super) fn lost(&mut self, from_us: i64, until_us: i64, count: Lost) {
        for (index, state) in self.ends.iter_mut().rev() {
            if end_of(*index, self.every_us) < from_us {
                break;
            }
            state.last = Values { low: NONE.0, high: NONE.1, ..state.last.opened(count) };
            state.within = state.within.map(|within| within.opened(count));
        }
        if self.series.is_empty() {
            return;
        }
        if self.losses.len() >= LOSSES
            && let Some(oldest) = self.losses.pop_front()
            && let Some(next) = self.losses.front_mut()
        {
            // The two oldest become one loss, which covers the time of both.
            next.from_us = next.from_us.min(oldest.from_us);
            next.until_us = next.until_us.max(oldest.until_us);
            next.count = next.count.plus(oldest.count);
        }
        self.losses.push_back(Loss { from_us, until_us, count });
    }

    /// Records that a line was read after the end of the interval in which it arrived. From its arrival on, no value is known until one is
    /// sent again.
    pub(super) fn late(&mut self, at_us: i64) {
        let index = at_us.div_euclid(self.every_us);
        let next = self.ends.partition_point(|(at, _)| *at < index);
        let is_there = self.ends.get(next).is_some_and(|(at, _)| *at == index);
        if let Some(state) = self.at(index, &|_, _| 0).filter(|_| !is_there) {
            // Packets may have been dropped since the last state, so no value is known.
            let last = Values { low: NONE.0, high: NONE.1, ..state.last };
            self.ends.insert(next, (index, State { last, within: Some(last), ..state }));
        }
        self.lost(at_us, at_us, Lost { late: 1, ..Lost::default() });
    }

    /// Ends an interval and keeps its state. At most `most` states are kept.
    pub(super) fn end(&mut self, index: i64, most: usize) {
        let range = self.range.take();
        if self.series.is_empty() {
            return;
        }
        let end_us = end_of(index, self.every_us);
        let gauges = || self.series.values();
        let known = gauges().filter_map(|gauge| gauge.known(&self.losses, end_us));
        let (low, high) = known.fold(NONE, |range, value| wider(range, (value, value)));
        let oldest_us = gauges().map(|gauge| gauge.set_us).min().unwrap_or(0);
        let open = gauges().any(|gauge| gauge.known(&self.losses, end_us).is_none());
        let lost = if open { touching(&self.losses, oldest_us, end_us) } else { None };
        let last = Values { low, high, oldest_us, open, lost: lost.unwrap_or_default() };
        let within = self.ends.back().map(|(before, state)| {
            let began_us = end_of(*before, self.every_us);
            let lost = touching(&self.losses, began_us, end_us);
            let before = state.last;
            // The last values were still in force when this interval began, unless others may have been sent in between.
            let stayed = touching(&self.losses, began_us, index.saturating_mul(self.every_us)).is_none();
            let in_force = if stayed { (before.low, before.high) } else { NONE };
            let (low, high) = wider(wider((low, high), in_force), range.unwrap_or(NONE));
            Values {
                low,
                high,
                oldest_us: oldest_us.min(before.oldest_us),
                open: open || before.open || lost.is_some(),
                lost: lost.unwrap_or_default().plus(if before.open { before.lost } else { Lost::default() }),
            }
        });
        self.losses.retain(|loss| loss.until_us >= oldest_us);
        let series = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
        self.ends.push_back((index, State { last, within, series, is_full: self.is_full }));
        while self.ends.len() > most {
            self.ends.pop_front();
        }
    }

    /// Returns the state at the end of an interval; `None` if no state is kept from before that. `dropped` returns the number of packets
    /// that were dropped between two moments.
    pub(super) fn at(&self, index: i64, dropped: &dyn Fn(i64, i64) -> u64) -> Option<State> {
        let next = self.ends.partition_point(|(at, _)| *at <= index);
        let (at, state) = self.ends.get(next.checked_sub(1)?)?;
        if *at == index {
            return Some(*state);
        }
        // Nothing was read in later intervals: the values stayed as they were, unless packets were lost.
        let end_us = |index: i64| end_of(index, self.every_us);
        let packets = dropped(end_us(*at), end_us(index));
        let last = if packets > 0 {
            let opened = state.last.opened(Lost { packets, ..Lost::default() });
            Values { low: NONE.0, high: NONE.1, ..opened }
        } else {
            state.last
        };
        let began = index.saturating_sub(1);
        let within = if packets > 0 && dropped(end_us(*at), end_us(began)) == 0 {
            // The last values were in force until the loss.
            Values { low: state.last.low, high: state.last.high, ..last }
        } else {
            last
        };
        Some(State { last, within: Some(within), ..*state })
    }
}

impl Gauge {
    /// Returns the value at a moment; `None` if it is not known, because a later value may have been lost.
    fn known(&self, losses: &VecDeque<Loss>, at_us: i64) -> Option<f64> {
        self.value.filter(|_| touching(losses, self.set_us, at_us).is_none())
    }
}

impl Values {
    /// Returns the values with the mark that there may be others because of a loss.
    fn opened(self, count: Lost) -> Self {
        Self { open: true, lost: self.lost.plus(count), ..self }
    }
}

/// Returns the time at which an interval ends, in microseconds.
const fn end_of(index: i64, every_us: i64) -> i64 {
    index.saturating_add(1).saturating_mul(every_us)
}

/// Returns the sum of the losses between two moments; `None` if there were none.
fn touching(losses: &VecDeque<Loss>, from_us: i64, until_us: i64) -> Option<Lost> {
    let touching = losses.iter().filter(|loss| loss.until_us >= from_us && loss.from_us <= until_us);
    touching.map(|loss| loss.count).reduce(Lost::plus)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statsd::line::{Line, line};

    #[test]
    fn late_lines_do_not_add_to_the_states_that_are_kept() {
        const CHANGES: bool = true;
        let Ok(Line::Metric(metric)) = line(b"q:5|g") else { panic!("a metric") };
        let mut gauges = Gauges::new(10);
        for index in (0..100).step_by(5) {
            gauges.take(&metric, index * 10, CHANGES);
            gauges.end(index, 8);
            (index - 3..index).for_each(|late| gauges.late(late * 10));
        }
        gauges.end(100, 8);
        assert_eq!(gauges.ends.len(), 8);
    }
}
