//! A schedule in a time zone, and the computation of its slots. Previews, checks, starts and calendars all use these slots. Reads no clock.

mod changed;

use std::fmt;

use firedrill_wire::{Share, Span};
use jiff::{
    SignedDuration, Timestamp, Zoned,
    civil::DateTime,
    tz::{AmbiguousOffset, Offset, TimeZone},
};

use crate::{
    pattern::Pattern,
    random,
    times::{clock, written},
};

/// A pattern in a time zone, with a delay and a chance.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The game day's name.
    pub(crate) name: String,
    pub(crate) pattern: Pattern,
    pub(crate) zone: TimeZone,
    /// The maximum delay of a slot.
    pub(crate) jitter: Option<Span>,
    /// The share of the pattern's times that become slots; `None` means all.
    pub(crate) chance: Option<Share>,
}

/// A moment at which a game day is due. The game day's name and the civil time together identify it.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// The civil time of the pattern. At a change of clocks it may be a time that does not exist.
    pub civil: DateTime,
    /// The moment at which it is due, before the delay by `jitter`.
    pub due: Zoned,
    /// The delay from `due` to the start.
    pub delay: SignedDuration,
    /// The effect of a change of clocks on this slot, for people; `None` if there is no effect.
    pub note: Option<String>,
}

impl Slot {
    /// Returns the moment of its start.
    #[must_use]
    pub fn starts(&self) -> Zoned {
        self.due.checked_add(self.delay).unwrap_or_else(|_| self.due.clone())
    }

    /// Returns its civil time as text, such as `2026-12-04T14:00`.
    #[must_use]
    pub fn civil_text(&self) -> String {
        written(self.civil)
    }
}

impl Schedule {
    /// Returns the next `count` slots that are due after a moment, in ascending order.
    #[must_use]
    pub fn next(&self, after: Timestamp, count: usize) -> Vec<Slot> {
        self.slots(after).take(count).collect()
    }

    /// Returns the slots that are due after a moment, in ascending order. Each is returned once, also at a change of clocks: a time that occurs twice is
    /// due at its first occurrence. A time that does not exist is due at the end of the gap, unless the cron pattern has another time soon after the
    /// gap (within its length).
    pub fn slots(&self, after: Timestamp) -> impl Iterator<Item = Slot> + '_ {
        // The search begins a day earlier, because a change of clocks can set local time back, by less than a day.
        let local = self.zone.to_datetime(after);
        let from = local.checked_sub(SignedDuration::from_hours(24)).unwrap_or(local);
        let civil = self.pattern.starting_at(from);
        let slots = Slots { schedule: self, civil, last: None, missing: None };
        slots.skip_while(move |slot| slot.due.timestamp() <= after)
    }

    /// Returns the slots that start after a moment, including slots that are already due and wait for their delay.
    pub fn upcoming(&self, now: Timestamp) -> impl Iterator<Item = Slot> + '_ {
        self.slots(self.still_to_start(now)).skip_while(move |slot| slot.starts().timestamp() <= now)
    }

    /// Returns the slot with a civil time in the form of [`Slot::civil_text`]; `None` if the schedule has no such slot.
    #[must_use]
    pub fn slot(&self, civil: &str) -> Option<Slot> {
        let wanted: DateTime = civil.parse().ok()?;
        // The civil time is read as UTC. The offset of any zone is less than 26 hours, so the slot is due within that time of it.
        let most_offset = SignedDuration::from_hours(26);
        let as_utc = |at: DateTime| TimeZone::UTC.to_ambiguous_timestamp(at).compatible().ok();
        let until = as_utc(wanted.checked_add(most_offset).ok()?)?;
        let mut slots = self.slots(as_utc(wanted.checked_sub(most_offset).ok()?)?);
        let found = slots.find(|slot| slot.civil == wanted || slot.due.timestamp() > until)?;
        (found.civil == wanted && found.civil_text() == civil).then_some(found)
    }

    /// Returns a moment such that all slots that start after `now` are due after it.
    fn still_to_start(&self, now: Timestamp) -> Timestamp {
        let jitter =
            self.jitter.and_then(|jitter| SignedDuration::try_from(jitter.0).ok()).unwrap_or_default();
        now.checked_sub(jitter).unwrap_or(now)
    }

    /// Returns the zone.
    #[must_use]
    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Returns the zone's name.
    #[must_use]
    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// Returns the maximum delay; `None` if slots have none.
    #[must_use]
    pub const fn jitter(&self) -> Option<Span> {
        self.jitter
    }

    /// Whether the schedule has only one slot.
    #[must_use]
    pub const fn is_once(&self) -> bool {
        matches!(self.pattern, Pattern::Once(_))
    }

    /// Returns the name of a slot: the game day's name, and the civil time.
    #[must_use]
    pub fn id(&self, slot: &Slot) -> String {
        format!("{} {}", self.name, slot.civil_text())
    }

    /// Whether a time of the pattern becomes a slot (`chance`). This depends only on the slot's name.
    fn takes_place(&self, civil: DateTime) -> bool {
        let Some(chance) = self.chance else { return true };
        let number = random::short("chance", &self.name, &written(civil));
        f64::from(number) < chance.fraction() * (f64::from(u32::MAX) + 1.0)
    }

    /// Returns the delay of a slot, in whole seconds. It depends only on the slot's name.
    fn delay(&self, civil: DateTime) -> SignedDuration {
        let most = self.jitter.map_or(0, |jitter| jitter.0.as_secs());
        if most == 0 {
            return SignedDuration::ZERO;
        }
        let number = random::number("jitter", &self.name, &written(civil));
        SignedDuration::from_secs(i64::try_from(number % (most + 1)).unwrap_or(0))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.pattern, self.zone_name())?;
        if let Some(chance) = self.chance {
            write!(f, ", each time with a chance of {chance}")?;
        }
        match self.jitter {
            Some(jitter) => write!(f, ", up to {jitter} later"),
            None => Ok(()),
        }
    }
}

/// Iterates over the slots of a schedule.
struct Slots<'s, C: Iterator<Item = DateTime>> {
    schedule: &'s Schedule,
    /// The times of the pattern.
    civil: C,
    /// The moment at which the last slot was due.
    last: Option<Timestamp>,
    /// A time that does not exist and gets no slot, because the next slot replaces it. The next slot's note names it.
    missing: Option<DateTime>,
}

impl<C: Iterator<Item = DateTime>> Iterator for Slots<'_, C> {
    type Item = Slot;

    fn next(&mut self) -> Option<Slot> {
        loop {
            let civil = self.civil.next()?;
            let Some(slot) = self.slot(civil) else { continue };
            if self.last.is_some_and(|last| slot.due.timestamp() <= last) {
                continue;
            }
            self.last = Some(slot.due.timestamp());
            if !self.schedule.takes_place(civil) {
                continue;
            }
            return Some(slot);
        }
    }
}

impl<C: Iterator<Item = DateTime>> Slots<'_, C> {
    /// Returns the slot of a civil time; `None` if the time does not exist and the next slot replaces it.
    fn slot(&mut self, civil: DateTime) -> Option<Slot> {
        let zone = &self.schedule.zone;
        let name = self.schedule.zone_name();
        let (day, at) = (civil.date(), clock(civil));
        let ambiguous = zone.to_ambiguous_zoned(civil);
        let (due, note) = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => (ambiguous.compatible().ok()?, None),
            AmbiguousOffset::Fold { before, .. } => {
                let note = format!("{day}: {at} occurs twice in {name}, runs at the first ({at}{before})");
                (ambiguous.earlier().ok()?, Some(note))
            }
            AmbiguousOffset::Gap { before, after } => {
                let gap_end = end_of_gap(zone, civil, before)?;
                let gap = SignedDuration::from_secs(i64::from(after.seconds() - before.seconds()));
                if self.has_time_after_gap(civil, gap_end.datetime(), gap) {
                    self.missing = Some(civil);
                    return None;
                }
                let next_day =
                    if gap_end.date() == day { String::new() } else { format!(" on {}", gap_end.date()) };
                let runs = clock(gap_end.datetime());
                let note = format!("{day}: {at} does not exist in {name}, runs at {runs}{next_day}");
                (gap_end, Some(note))
            }
        };
        let replaces = self.missing.take().map(|missing| {
            let (day, missing) = (missing.date(), clock(missing));
            format!("{day}: {missing} does not exist in {name}, the run at {at} stands for it")
        });
        Some(Slot { civil, due, delay: self.schedule.delay(civil), note: note.or(replaces) })
    }

    /// Whether a cron pattern has a time soon after a gap: within the gap's length. Then the missing time `civil` gets no slot.
    fn has_time_after_gap(&self, civil: DateTime, gap_end: DateTime, gap: SignedDuration) -> bool {
        let Pattern::Cron(cron) = &self.schedule.pattern else { return false };
        let Ok(until) = gap_end.checked_add(gap) else { return false };
        cron.starting_at(civil.max(gap_end)).next().is_some_and(|next| next < until)
    }
}

/// Returns the end of the gap in which a civil time is. `before` is the zone's offset before the gap.
fn end_of_gap(zone: &TimeZone, civil: DateTime, before: Offset) -> Option<Zoned> {
    // With the old offset, the civil time is at or after the change of clocks. So the change is the last change before it.
    let by_old = before.to_timestamp(civil).ok()?.checked_add(SignedDuration::from_secs(1)).ok()?;
    let change = zone.preceding(by_old).find(|change| change.offset() != before)?;
    Some(change.timestamp().to_zoned(zone.clone()))
}

#[cfg(test)]
mod tests;
