//! The times in which a game day is not held, although its schedule has a slot there.

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};

use crate::schedule::Slot;

/// A time in which a game day is not held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Its beginning and end.
    pub span: Span,
    /// The reason, for people.
    pub why: String,
}

/// A time with a beginning and an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Whole days, in the zone of the schedule that asks; both ends included.
    Days(Date, Date),
    /// From a moment until just before another.
    Moments(Timestamp, Timestamp),
    /// From one civil time until just before another, in the zone of the schedule that asks.
    Civil(DateTime, DateTime),
}

impl Closed {
    /// Whether a slot starts in this time. The slot's start includes its delay. `zone` is the zone of the slot's schedule.
    #[must_use]
    pub fn covers(&self, slot: &Slot, zone: &TimeZone) -> bool {
        let starts = slot.starts();
        let moment = |civil: DateTime| zone.to_ambiguous_timestamp(civil).compatible().ok();
        let within = |from: Timestamp, until: Timestamp| {
            let at = starts.timestamp();
            // The end is exclusive. An event without a length covers exactly its moment.
            from <= at && (at < until || from == until && at == from)
        };
        match &self.span {
            Span::Days(first, last) => (*first..=*last).contains(&starts.date()),
            Span::Moments(from, until) => within(*from, *until),
            Span::Civil(from, until) => match (moment(*from), moment(*until)) {
                (Some(from), Some(until)) => within(from, until),
                _ => false,
            },
        }
    }
}

#[cfg(test)]
mod tests;
