//! A schedule in a zone, and its slots. Previews, checks and calendars all use these slots.

mod changed;

use std::{fmt, iter::Peekable};

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

/// A pattern in a zone, with a delay.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub(crate) name: String,
    pub(crate) pattern: Pattern,
    pub(crate) zone: TimeZone,
    pub(crate) jitter: Option<Span>,
    pub(crate) chance: Option<Share>,
}

/// A moment at which a game day is due. It is known by the game day's name and its civil time.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// The civil time that the schedule names, also where that does not exist.
    pub civil: DateTime,
    /// The moment at which it is due, before the delay by `jitter`.
    pub due: Zoned,
    /// The delay.
    pub delay: SignedDuration,
    /// The effect of a change of clocks on it, for people.
    pub note: Option<String>,
}

impl Slot {
    /// Returns the moment of its start.
    #[must_use]
    pub fn starts(&self) -> Zoned {
        self.due.checked_add(self.delay).unwrap_or_else(|_| self.due.clone())
    }

    /// Returns its civil time as text: `2026-12-04T14:00`.
    #[must_use]
    pub fn civil_text(&self) -> String {
        written(self.civil)
    }
}

impl Schedule {
    /// Returns the next `count` slots that are due after a moment, rising.
    #[must_use]
    pub fn next(&self, after: Timestamp, count: usize) -> Vec<Slot> {
        self.slots(after).take(count).collect()
    }

    /// Returns the slots that are due after a moment, rising, each once: of an hour that occurs twice, the first; a time that does
    /// not exist is due at the next minute that does, unless a pattern has a run of its own within the length of the gap.
    pub fn slots(&self, after: Timestamp) -> impl Iterator<Item = Slot> + '_ {
        // Local times run back by less than a day.
        let local = self.zone.to_datetime(after);
        let from = local.checked_sub(SignedDuration::from_hours(24)).unwrap_or(local);
        let civil = self.pattern.starting_at(from).peekable();
        let slots = Slots { schedule: self, civil, last: None, missing: None };
        slots.skip_while(move |slot| slot.due.timestamp() <= after)
    }

    /// Returns the slots that start after a moment, also those that are already due and wait for their delay.
    pub fn upcoming(&self, now: Timestamp) -> impl Iterator<Item = Slot> + '_ {
        self.slots(self.still_to_start(now)).skip_while(move |slot| slot.starts().timestamp() <= now)
    }

    /// Returns the slot of a civil time, written as [`Slot::civil_text`] has it; `None` if the schedule has no such slot.
    #[must_use]
    pub fn slot(&self, civil: &str) -> Option<Slot> {
        let wanted: DateTime = civil.parse().ok()?;
        // Any zone is less than a day away.
        let day = SignedDuration::from_hours(26);
        let near = |at: DateTime| TimeZone::UTC.to_ambiguous_timestamp(at).compatible().ok();
        let until = near(wanted.checked_add(day).ok()?)?;
        let mut slots = self.slots(near(wanted.checked_sub(day).ok()?)?);
        let found = slots.find(|slot| slot.civil == wanted || slot.due.timestamp() > until)?;
        (found.civil == wanted && found.civil_text() == civil).then_some(found)
    }

    /// Returns the moment after which a slot is due that may start after `now`.
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

    /// Returns the longest delay.
    #[must_use]
    pub const fn jitter(&self) -> Option<Span> {
        self.jitter
    }

    /// Whether it has one slot only.
    #[must_use]
    pub const fn is_once(&self) -> bool {
        matches!(self.pattern, Pattern::Once(_))
    }

    /// Returns the name of a slot: that of the game day, and the civil time.
    #[must_use]
    pub fn id(&self, slot: &Slot) -> String {
        format!("{} {}", self.name, slot.civil_text())
    }

    /// Whether there is a slot at a time of the pattern; it depends on the slot's name only.
    fn takes_place(&self, civil: DateTime) -> bool {
        let Some(chance) = self.chance else { return true };
        let number = random::short("chance", &self.name, &written(civil));
        f64::from(number) < chance.fraction() * (f64::from(u32::MAX) + 1.0)
    }

    /// Returns the delay of a slot, in whole seconds; it depends on the slot's name only.
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

struct Slots<'s, C: Iterator<Item = DateTime>> {
    schedule: &'s Schedule,
    civil: Peekable<C>,
    last: Option<Timestamp>,
    /// A time that does not exist and that the next slot replaces.
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
    /// Returns the slot of a civil time; `None` if the next slot replaces it.
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
                let over = end_of_gap(zone, civil, before)?;
                let gap = SignedDuration::from_secs(i64::from(after.seconds() - before.seconds()));
                if self.has_own_run(civil, over.datetime(), gap) {
                    self.missing = Some(civil);
                    return None;
                }
                let next_day =
                    if over.date() == day { String::new() } else { format!(" on {}", over.date()) };
                let runs = clock(over.datetime());
                let note = format!("{day}: {at} does not exist in {name}, runs at {runs}{next_day}");
                (over, Some(note))
            }
        };
        let stands = self.missing.take().map(|missing| {
            let (day, missing) = (missing.date(), clock(missing));
            format!("{day}: {missing} does not exist in {name}, the run at {at} stands for it")
        });
        Some(Slot { civil, due, delay: self.schedule.delay(civil), note: note.or(stands) })
    }

    /// Whether cron's fields select a time within the length of a gap after it. Then the missing time gets no slot of its own.
    fn has_own_run(&mut self, civil: DateTime, over: DateTime, gap: SignedDuration) -> bool {
        let Pattern::Cron(cron) = &self.schedule.pattern else { return false };
        let Ok(until) = over.checked_add(gap) else { return false };
        cron.starting_at(civil.max(over)).next().is_some_and(|next| next < until)
    }
}

/// Returns the moment at which the gap is over that a civil time is in. `before` is the offset before it.
fn end_of_gap(zone: &TimeZone, civil: DateTime, before: Offset) -> Option<Zoned> {
    // By the old offset, the time is at or after the change.
    let by_old = before.to_timestamp(civil).ok()?.checked_add(SignedDuration::from_secs(1)).ok()?;
    let change = zone.preceding(by_old).find(|change| change.offset() != before)?;
    Some(change.timestamp().to_zoned(zone.clone()))
}

#[cfg(test)]
mod tests;
