//! One question: what it reads from packets, interval by interval. Times are microseconds of the listener's clock.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::RandomState,
    net::SocketAddr,
};

use super::{
    alive::Stream,
    gauges::Gauges,
    interval::{Interval, Value},
    line::{Form, Metric},
    query::{Query, Reads},
};
use crate::points::{Lacks, Point};

/// Number of intervals that are kept: those of the longest question, and of the longest `lag`.
pub(super) const KEPT: usize = 1_300;
/// Maximum number of senders of one question.
pub(super) const SENDERS: usize = 10_000;

/// What is known of all packets, for an answer.
#[derive(Clone, Copy)]
pub(super) struct Known<'s> {
    pub(super) senders: &'s HashMap<SocketAddr, Stream>,
    /// The listener began then.
    pub(super) began_us: i64,
    /// Everything that arrived up to then was read.
    pub(super) read_us: i64,
    /// The longest silence of a sender that is alive.
    pub(super) within_us: i64,
    /// Number of packets that were dropped in a time.
    pub(super) dropped: &'s dyn Fn(i64, i64) -> u64,
}

/// One question.
pub(super) struct Track {
    pub(super) query: Query,
    every_us: i64,
    /// Number of the interval that is not over.
    open: i64,
    interval: Interval,
    /// Whether anything of the open interval is not in `over`.
    touched: bool,
    over: VecDeque<(i64, Over)>,
    gauges: Gauges,
    /// The type of its metrics.
    form: Option<Form>,
    /// The sum of all intervals that are over.
    total: f64,
    /// Who sent it, unless something else shows who is alive.
    senders: HashSet<SocketAddr>,
    /// What shows that its sender is alive, if that is named.
    alive_by: Option<Stream>,
    hasher: RandomState,
}

/// What an interval that is over had.
struct Over {
    /// The value, if there is one, and its bounds should packets be missing.
    value: Option<(Value, Value)>,
    /// The sum of all intervals up to its end.
    total: f64,
    unreadable: u64,
    other_form: bool,
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
            gauges: Gauges::default(),
            form: None,
            total: 0.0,
            senders: HashSet::new(),
            alive_by: None,
            hasher: RandomState::new(),
        }
    }

    /// Takes a metric of its name. Returns whether its sender is to be followed.
    pub(super) fn take(
        &mut self,
        metric: &Metric<'_>,
        (at_us, within_us): (i64, i64),
        from: SocketAddr,
        changes: bool,
    ) -> bool {
        let own = self.query.of.fits(metric);
        let shows = self.query.alive_by.as_ref().is_some_and(|one| own || one.fits(metric));
        if shows {
            self.alive_by.get_or_insert_with(|| Stream::new(at_us)).heard(at_us, within_us);
        }
        if !own {
            return false;
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
        let follows = self.query.alive_by.is_none() && self.senders.len() < SENDERS;
        follows && (self.senders.contains(&from) || self.senders.insert(from))
    }

    /// A line of its name could not be read.
    pub(super) fn unreadable(&mut self, at_us: i64) {
        self.advance(at_us);
        self.touched = true;
        self.interval.unreadable += 1;
        self.gauges.lost(at_us, 0);
    }

    /// Packets were dropped until a moment. Some that arrived before may still be read, so no interval ends.
    pub(super) fn dropped(&mut self, until_us: i64, packets: u64) {
        self.touched |= !self.gauges.is_empty();
        self.gauges.lost(until_us, packets);
    }

    /// A sender is no longer followed.
    pub(super) fn forget(&mut self, from: &SocketAddr) {
        self.senders.remove(from);
    }

    /// Ends the open interval if a time is after it.
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

    #[expect(clippy::cast_precision_loss, reason = "an interval is short")]
    fn end(&mut self) {
        let interval = std::mem::take(&mut self.interval);
        let is_counter = self.form == Some(Form::Counter);
        let reads = self.query.reads;
        let own =
            if interval.heard { interval.value(reads, is_counter, self.every_us as f64 / 1e6) } else { None };
        if let Some(value) = own.filter(|_| reads == Reads::Total) {
            self.total += value.high;
        }
        let over = Over {
            value: own.map(|value| (value, interval.bounds(reads, value))),
            total: self.total,
            unreadable: interval.unreadable,
            other_form: interval.other_form,
            heard: interval.heard,
        };
        self.over.push_back((self.open, over));
        self.gauges.end(self.open, KEPT);
        if self.over.len() > KEPT {
            self.over.pop_front();
        }
        self.touched = false;
    }

    /// Returns how many senders of it lived through the interval that ends at a moment. Of those that are named, only one is counted.
    fn alive(&self, at_us: i64, known: Known<'_>) -> u32 {
        let from_us = at_us - self.every_us;
        let lives = |stream: &Stream| stream.is_alive(from_us, at_us, known.read_us, known.within_us);
        if self.query.alive_by.is_some() {
            return u32::from(self.alive_by.as_ref().is_some_and(lives));
        }
        let count =
            self.senders.iter().filter_map(|one| known.senders.get(one)).filter(|one| lives(one)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Whether it is about a gauge.
    fn is_gauge(&self) -> bool {
        self.query.reads == Reads::Last || self.form == Some(Form::Gauge)
    }

    /// Returns the age of its oldest data at a moment, in seconds, and the number of series or of living senders behind it.
    pub(super) fn behind(&self, at_us: i64, known: Known<'_>) -> (Option<f64>, u32) {
        if !self.is_gauge() {
            return (Some(0.0), self.alive(at_us, known));
        }
        let state = self.gauges.at(at_us.div_euclid(self.every_us) - 1);
        #[expect(clippy::cast_precision_loss, reason = "an age is short")]
        state.map_or((None, 0), |state| (Some((at_us - state.oldest_us) as f64 / 1e6), state.series))
    }

    /// Returns the point at a moment; `None` if nothing tells what it was.
    pub(super) fn point(&self, at_us: i64, known: Known<'_>) -> Option<Point> {
        let index = at_us.div_euclid(self.every_us) - 1;
        let from_us = at_us - self.every_us;
        if from_us < known.began_us || at_us > known.read_us {
            return None;
        }
        let last = self.over.partition_point(|(at, _)| *at <= index).checked_sub(1);
        let last = last.and_then(|place| self.over.get(place));
        let own = last.filter(|(at, _)| *at == index).map(|(_, over)| over);
        let with =
            |low: f64, high: f64, lacks| Point { lacks, nan: false, low, high, ..Point::of(at_us, 0.0) };
        if own.is_some_and(|own| own.other_form) {
            return Some(with(f64::NAN, f64::NAN, Some(Lacks::OtherForm)));
        }
        if self.is_gauge() {
            return self.gauge(index, own, with);
        }
        let dropped = (known.dropped)(from_us, at_us);
        let unreadable = own.map_or(0, |own| own.unreadable);
        let alive = self.alive(at_us, known) > 0;
        let reads = self.query.reads;
        let counts = matches!(reads, Reads::Count | Reads::Rate | Reads::Unique | Reads::Total);
        let zero = Value { low: 0.0, high: 0.0, is_full: false };
        let found = match own.and_then(|own| own.value) {
            None if !counts || !alive => None,
            None => Some((zero, Value { low: f64::NAN, ..zero })),
            found => found,
        };
        let lacks = if dropped > 0 {
            Some(Lacks::Dropped(dropped))
        } else if unreadable > 0 {
            Some(Lacks::Unreadable(unreadable))
        } else if found.is_some_and(|(value, _)| value.is_full) {
            Some(Lacks::TooMany)
        } else {
            (found.is_some() && !alive).then_some(Lacks::Silent)
        };
        match (found, lacks) {
            (None, None) => None,
            (None, lacks) => Some(with(f64::NAN, f64::NAN, lacks)),
            (Some((_, bounds)), Some(_)) => Some(with(bounds.low, bounds.high, lacks)),
            (Some(_), None) if reads == Reads::Total => {
                let total = last.map_or(0.0, |(_, over)| over.total);
                Some(with(total, total, None))
            }
            (Some((value, _)), None) => Some(with(value.low, value.high, None)),
        }
    }

    fn gauge(
        &self,
        index: i64,
        own: Option<&Over>,
        with: impl Fn(f64, f64, Option<Lacks>) -> Point,
    ) -> Option<Point> {
        let state = self.gauges.at(index)?;
        let (low, high) = match self.query.reads {
            Reads::Min => (state.lowest, state.lowest),
            Reads::Max => (state.highest, state.highest),
            _ => (state.low, state.high),
        };
        let number = |value: f64| if value.is_finite() { value } else { f64::NAN };
        let unreadable = own.map_or(0, |own| own.unreadable);
        let lacks = if state.lost > 0 {
            Some(Lacks::Dropped(state.lost))
        } else if unreadable > 0 || state.open {
            Some(if unreadable > 0 { Lacks::Unreadable(unreadable) } else { Lacks::OnlyChanges })
        } else {
            state.is_full.then_some(Lacks::TooMany)
        };
        let point = with(number(low), number(high), lacks);
        Some(Point { series: state.series, ..point })
    }

    /// Returns what it lacks, in words, if nothing came of it at all. The listener is asked before any harm.
    pub(super) fn missing(&self) -> Option<String> {
        let Query { reads, of, .. } = &self.query;
        let heard = self.form.is_some();
        if !heard && (self.interval.other_form || self.over.iter().any(|(_, over)| over.other_form)) {
            return Some(format!("`{of}` is of another type: `{reads}` is read from {}", reads.of()));
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
