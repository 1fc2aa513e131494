//! Answers one question from the packets, interval by interval. Times are microseconds of the listener's clock.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::RandomState,
    net::SocketAddr,
};

use super::{
    alive::Stream,
    gauges::{Gauges, Lost, Values},
    interval::{Interval, Value, counts},
    line::{Form, Metric},
    query::{Query, Reads},
    sampled::{Lines, Sampling},
};
use crate::points::{Lacks, Point};

/// Number of intervals that are kept: enough for the longest question with the longest `lag`.
pub(super) const KEPT: usize = 1_300;
/// Maximum number of senders of one question.
pub(super) const SENDERS: usize = 10_000;
/// Uncertainty of a packet's time, in microseconds. A packet that arrived less than this before the open interval counts in that interval.
const EDGE_US: i64 = 10_000;

/// Facts about all packets, on which an answer depends.
#[derive(Clone, Copy)]
pub(super) struct Known<'s> {
    pub(super) senders: &'s HashMap<SocketAddr, Stream>,
    /// Time at which the listener began.
    pub(super) began_us: i64,
    /// Time up to which all packets that arrived were read.
    pub(super) read_us: i64,
    /// The longest silence of a sender that counts as alive.
    pub(super) within_us: i64,
    /// Returns the number of packets that were dropped between two moments.
    pub(super) dropped: &'s dyn Fn(i64, i64) -> u64,
}

/// The data of one question.
pub(super) struct Track {
    pub(super) query: Query,
    /// Length of an interval.
    every_us: i64,
    /// Index of the interval that is not over.
    open: i64,
    interval: Interval,
    /// Whether a line arrived in the open interval.
    touched: bool,
    /// The intervals that are over, each with its index, in order.
    over: VecDeque<(i64, Over)>,
    gauges: Gauges,
    /// The type of its metrics; `None` until one is known.
    form: Option<Form>,
    /// The sum of all intervals that are over.
    total: f64,
    /// Whether its counter ever had a negative value.
    falls: bool,
    /// The sample rates with which the metric was ever sent; `None` if all its events were sent.
    sampling: Option<Sampling>,
    /// The senders of the metric; empty if another metric (`alive_by`) shows that they are alive.
    senders: HashSet<SocketAddr>,
    /// The packets of the metric (`alive_by`) that shows that senders are alive; `None` if none was sent or the question names no such metric.
    alive_by: Option<Stream>,
    hasher: RandomState,
}

/// The result of an interval that is over.
#[derive(Default)]
struct Over {
    /// `None` if there is no value, such as the mean of no timings.
    value: Option<Value>,
    /// The bounds of the truth if only a share of all events was sent; `None` if all were sent.
    sampled: Option<(f64, f64)>,
    /// The sum of all intervals up to its end.
    total: f64,
    /// Number of lines that could not be read.
    unreadable: u64,
    /// Number of lines that were read after its end.
    late: u64,
    /// Whether there were metrics of another type.
    other_form: bool,
    /// Whether any value arrived.
    heard: bool,
}

impl Track {
    pub(super) fn new(query: Query) -> Self {
        let every_us = i64::try_from(query.every.as_micros()).unwrap_or(i64::MAX).max(1);
        Self {
            query,
            every_us,
            open: i64::MIN,
            interval: Interval::default(),
            touched: false,
            over: VecDeque::new(),
            gauges: Gauges::new(every_us),
            form: None,
            total: 0.0,
            falls: false,
            sampling: None,
            senders: HashSet::new(),
            alive_by: None,
            hasher: RandomState::new(),
        }
    }

    /// Takes a metric with one of the question's names. Returns whether its sender has to be followed.
    pub(super) fn take(
        &mut self,
        metric: &Metric<'_>,
        (at_us, within_us): (i64, i64),
        from: SocketAddr,
        changes: bool,
    ) -> bool {
        let is_own = self.query.of.fits(metric);
        let shows_life = self.query.alive_by.as_ref().is_some_and(|alive_by| is_own || alive_by.fits(metric));
        if shows_life {
            self.alive_by.get_or_insert_with(|| Stream::new(at_us)).heard(at_us, within_us);
        }
        if !is_own {
            return false;
        }
        // This applies to late lines, too: it shows whether events that were not read may be negative.
        self.falls |= metric.form == Form::Counter && metric.numbers().any(|number| number.value < 0.0);
        if metric.rate < 1.0 {
            let most = metric.numbers().map(|number| counts(metric, number.value)).fold(0.0, f64::max);
            self.sampling = Some(Sampling::with(self.sampling, metric.rate, most));
        }
        let follows = self.query.alive_by.is_none() && self.senders.len() < SENDERS;
        let follows = follows && (self.senders.contains(&from) || self.senders.insert(from));
        if self.is_late(at_us) {
            self.late(at_us);
            return follows;
        }
        self.advance(at_us);
        self.touched = true;
        if !self.query.reads.fits(metric.form) || self.form.is_some_and(|form| form != metric.form) {
            self.interval.other_form = true;
        } else {
            self.form = Some(metric.form);
            if metric.form == Form::Gauge {
                self.gauges.take(metric, at_us, changes);
            } else {
                self.interval.take(self.query.reads, metric, &self.hasher);
            }
        }
        follows
    }

    /// Records that a line with the question's name could not be read.
    pub(super) fn unreadable(&mut self, at_us: i64) {
        if self.is_late(at_us) {
            return self.late(at_us);
        }
        self.advance(at_us);
        self.touched = true;
        self.interval.unreadable += 1;
        self.gauges.lost(at_us, at_us, Lost { lines: 1, ..Lost::default() });
    }

    /// Records that packets were dropped between two moments. Ends no interval, as earlier packets may still be read.
    pub(super) fn dropped(&mut self, from_us: i64, until_us: i64, packets: u64) {
        self.gauges.lost(from_us, until_us, Lost { packets, ..Lost::default() });
    }

    /// Whether a line arrived in an interval that is over.
    const fn is_late(&self, at_us: i64) -> bool {
        at_us.saturating_add(EDGE_US) < self.open.saturating_mul(self.every_us)
    }

    /// Records a line that arrived in an interval that is over. The value of this interval may have been given out already. The line counts in no other
    /// interval.
    fn late(&mut self, at_us: i64) {
        let index = at_us.div_euclid(self.every_us);
        let next = self.over.partition_point(|(at, _)| *at < index);
        match self.over.get_mut(next) {
            Some((at, over)) if *at == index => over.late += 1,
            _ => {
                let before = next.checked_sub(1).and_then(|last| self.over.get(last));
                let total = before.map_or(0.0, |(_, before)| before.total);
                self.over.insert(next, (index, Over { total, late: 1, ..Over::default() }));
                self.forget_oldest();
            }
        }
        self.gauges.late(at_us);
    }

    /// Removes the oldest interval if there are too many.
    fn forget_oldest(&mut self) {
        if self.over.len() > KEPT {
            self.over.pop_front();
        }
    }

    /// Removes a sender that is not followed any more.
    pub(super) fn forget(&mut self, from: &SocketAddr) {
        self.senders.remove(from);
    }

    /// Ends the open interval if a moment is after it.
    pub(super) fn advance(&mut self, at_us: i64) {
        let index = at_us.div_euclid(self.every_us);
        if index <= self.open {
            return;
        }
        if self.touched {
            self.end();
        }
        self.open = index;
    }

    /// Ends the open interval and keeps its result.
    #[expect(clippy::cast_precision_loss, reason = "an interval is short")]
    fn end(&mut self) {
        let interval = std::mem::take(&mut self.interval);
        let is_counter = self.form == Some(Form::Counter);
        let reads = self.query.reads;
        let seconds = self.every_us as f64 / 1e6;
        let value = if interval.heard { interval.value(reads, is_counter, seconds) } else { None };
        if let Some(value) = value.filter(|_| reads == Reads::Total) {
            self.total += value.high;
        }
        let sampled = value.zip(self.sampling.as_ref());
        let over = Over {
            value,
            sampled: sampled.map(|(value, sampling)| interval.sampled(sampling, reads, value, seconds)),
            total: self.total,
            unreadable: interval.unreadable,
            late: 0,
            other_form: interval.other_form,
            heard: interval.heard,
        };
        self.over.push_back((self.open, over));
        self.gauges.end(self.open, KEPT);
        self.forget_oldest();
        self.touched = false;
    }

    /// Returns the number of senders that were alive throughout the interval that ends at a moment. A named metric (`alive_by`) counts as
    /// one sender.
    fn alive(&self, at_us: i64, known: Known<'_>) -> u32 {
        let from_us = at_us - self.every_us;
        let lives = |stream: &Stream| stream.is_alive(from_us, at_us, known.read_us, known.within_us);
        if self.query.alive_by.is_some() {
            return u32::from(self.alive_by.as_ref().is_some_and(lives));
        }
        let count = self
            .senders
            .iter()
            .filter_map(|from| known.senders.get(from))
            .filter(|sender| lives(sender))
            .count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Whether the question is about a gauge.
    fn is_gauge(&self) -> bool {
        self.query.reads == Reads::Last || self.form == Some(Form::Gauge)
    }

    /// Returns the values of gauges for a point at a moment, whether series were left out, and the number of series. `None` if nothing is
    /// known of the interval.
    fn gauge(&self, at_us: i64, known: Known<'_>) -> Option<(Values, bool, u32)> {
        let state = self.gauges.at(at_us.div_euclid(self.every_us) - 1, known.dropped)?;
        let values = match self.query.reads {
            Reads::Min | Reads::Max => state.within?,
            _ => state.last,
        };
        Some((values, state.is_full, state.series))
    }

    /// Returns the age of the oldest data at a moment, in seconds, and the number of series or of living senders. The age is `None` if
    /// there are no data.
    pub(super) fn behind(&self, at_us: i64, known: Known<'_>) -> (Option<f64>, u32) {
        if !self.is_gauge() {
            return (Some(0.0), self.alive(at_us, known));
        }
        #[expect(clippy::cast_precision_loss, reason = "an age is short")]
        let age = |oldest_us: i64| (at_us - oldest_us) as f64 / 1e6;
        self.gauge(at_us, known)
            .map_or((None, 0), |(values, _, series)| (Some(age(values.oldest_us)), series))
    }

    /// Returns the point at a moment; `None` if nothing is known of its interval.
    pub(super) fn point(&self, at_us: i64, known: Known<'_>) -> Option<Point> {
        let index = at_us.div_euclid(self.every_us) - 1;
        let from_us = at_us - self.every_us;
        if from_us < known.began_us || at_us > known.read_us {
            return None;
        }
        let last = self.over.partition_point(|(at, _)| *at <= index).checked_sub(1);
        let last = last.and_then(|index| self.over.get(index));
        let own = last.filter(|(at, _)| *at == index).map(|(_, over)| over);
        if own.is_some_and(|own| own.other_form) {
            return Some(Point {
                lacks: Some(Lacks::OtherForm),
                ..Point::between(at_us, f64::NAN, f64::NAN)
            });
        }
        if self.is_gauge() {
            return self.gauge_point(at_us, known);
        }
        let (unreadable, late) = own.map_or((0, 0), |own| (own.unreadable, own.late));
        let alive = self.alive(at_us, known) > 0;
        let found = own.and_then(|own| own.value).or_else(|| self.zero().filter(|_| alive));
        let lacks = match (known.dropped)(from_us, at_us) {
            packets @ 1.. => Some(Lacks::Dropped(packets)),
            _ if unreadable > 0 => Some(Lacks::Unreadable(unreadable)),
            _ if late > 0 => Some(Lacks::Late(late)),
            _ if found.is_some_and(|value| value.is_full) => Some(Lacks::TooMany),
            _ => (found.is_some() && !alive).then_some(Lacks::Silent),
        };
        let Some(value) = found else {
            return lacks.map(|_| Point { lacks, ..Point::between(at_us, f64::NAN, f64::NAN) });
        };
        let sampled = match own.filter(|own| own.value.is_some()) {
            Some(own) => own.sampled,
            None => self.sampled_zero(),
        };
        // An event that was not sent may be negative.
        let open = self.falls && matches!(self.query.reads, Reads::Count | Reads::Rate);
        let sampled = sampled.map(|range| if open { (f64::NEG_INFINITY, f64::INFINITY) } else { range });
        if lacks.is_some() {
            let (low, high) = self.bounds(value, sampled);
            return Some(Point { lacks, ..Point::between(at_us, low, high) });
        }
        let total = last.map_or(0.0, |(_, over)| over.total);
        let value = if self.query.reads == Reads::Total { total } else { value.high };
        Some(Point { sampled, ..Point::between(at_us, value, value) })
    }

    /// Returns the value of an interval in which no packet was sent although the sender was alive; `None` if it has none.
    fn zero(&self) -> Option<Value> {
        let counts = matches!(self.query.reads, Reads::Count | Reads::Rate | Reads::Unique | Reads::Total);
        counts.then_some(Value { low: 0.0, high: 0.0, is_full: false })
    }

    /// Returns the bounds of [`Self::zero`] if only a share of all events is sent; `None` if all are sent.
    #[expect(clippy::cast_precision_loss, reason = "an interval is short")]
    fn sampled_zero(&self) -> Option<(f64, f64)> {
        let no_lines = (&Lines::default(), self.every_us as f64 / 1e6);
        Some(self.sampling?.bounds(self.query.reads, self.zero()?.high, no_lines, |_| None))
    }

    /// Returns the bounds of a value for which packets or lines are missing.
    fn bounds(&self, value: Value, sampled: Option<(f64, f64)>) -> (f64, f64) {
        let reads = self.query.reads;
        if matches!(reads, Reads::Count | Reads::Rate) && self.falls {
            return (f64::NAN, f64::NAN);
        }
        let Value { low, high, .. } = Interval::bounds(reads, value);
        // An estimate may be too high.
        let least = sampled.map_or(f64::INFINITY, |(least, _)| least);
        (low, if high > least { least } else { high })
    }

    /// Returns the point of gauges at a moment; `None` if nothing is known of its interval.
    fn gauge_point(&self, at_us: i64, known: Known<'_>) -> Option<Point> {
        let (Values { low, high, open, lost, .. }, is_full, series) = self.gauge(at_us, known)?;
        let lacks = match lost {
            Lost { packets: packets @ 1.., .. } => Some(Lacks::Dropped(packets)),
            Lost { lines: lines @ 1.., .. } => Some(Lacks::Unreadable(lines)),
            Lost { late: lines @ 1.., .. } => Some(Lacks::Late(lines)),
            _ if open => Some(Lacks::OnlyChanges),
            _ if is_full => Some(Lacks::TooMany),
            // An update may not have been sent.
            _ => self.sampling.map(|_| Lacks::Sampled),
        };
        let number = |value: f64| if value.is_finite() { value } else { f64::NAN };
        let (low, high) = (number(low), number(high));
        let (low, high) = match (self.query.reads, lacks) {
            // A missing value may be higher than the maximum or lower than the minimum.
            (Reads::Max, Some(_)) => (f64::NAN, high),
            (Reads::Min, Some(_)) => (low, f64::NAN),
            (_, Some(Lacks::Sampled)) => (f64::NAN, f64::NAN),
            (Reads::Max, None) => (high, high),
            (Reads::Min, None) => (low, low),
            _ => (low, high),
        };
        Some(Point { lacks, series, ..Point::between(at_us, low, high) })
    }

    /// Returns the reason why the question has no value, in words; `None` if a packet answered it. The run asks for it before the first attack.
    pub(super) fn missing(&self) -> Option<String> {
        let Query { reads, of, .. } = &self.query;
        let heard = self.form.is_some();
        if !heard && (self.interval.other_form || self.over.iter().any(|(_, over)| over.other_form)) {
            return Some(format!("`{of}` is of another type: `{reads}` is read from {}", reads.types()));
        }
        if heard || self.over.iter().any(|(_, over)| over.heard) {
            return None;
        }
        let counts = matches!(reads, Reads::Count | Reads::Rate | Reads::Total);
        Some(match &self.query.alive_by {
            Some(alive_by) if self.alive_by.is_none() => {
                format!("neither `{of}` nor `{alive_by}` (`alive_by`) was sent")
            }
            Some(alive_by) if counts => {
                format!(
                    "`{alive_by}` (`alive_by`) was sent, with silences that are longer than `alive_within`"
                )
            }
            None if counts => format!(
                "`{of}` was not sent, so nothing tells 0 from a sender that is dead; name in `alive_by` a metric that the same \
                 program sends all the time"
            ),
            _ => format!("`{of}` was not sent"),
        })
    }
}
