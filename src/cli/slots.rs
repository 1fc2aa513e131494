//! Formats slots of game days for people and for programs.

use firedrill_gameday::{Gameday, Slot};
use firedrill_wire::Span;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::days::{clock, local};

/// The day or the time from which on slots are shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// The start of a day, in the zone of each schedule.
    Day(Date),
    /// A time.
    Moment(Timestamp),
}

/// Parses a date, or a time.
pub(super) fn from(text: &str) -> Result<From, String> {
    // A date has ten characters. The parser also accepts longer texts, which are times.
    let day = text.parse::<Date>().ok().filter(|_| text.len() == 10).map(From::Day);
    day.or_else(|| text.parse::<Timestamp>().ok().map(From::Moment))
        .ok_or_else(|| "a date (2027-03-01) or a time (2027-03-01T09:30:00Z) is wanted".to_owned())
}

impl From {
    /// Returns the time after which slots of a schedule in this zone are shown.
    pub(super) fn moment(self, zone: &TimeZone) -> Timestamp {
        match self {
            Self::Moment(at) => at,
            Self::Day(day) => {
                let begin = day.to_zoned(zone.clone()).map(|begin| begin.timestamp());
                // One second before the day, so that a slot at midnight is shown, too.
                let before = begin.and_then(|begin| begin.checked_sub(jiff::SignedDuration::from_secs(1)));
                before.unwrap_or(Timestamp::MIN)
            }
        }
    }

    /// Returns the time for the zone where the day begins first, which is not after its start in any other zone.
    pub(super) fn early(self) -> Timestamp {
        self.moment(&TimeZone::fixed(jiff::tz::Offset::MAX))
    }
}

/// A slot for machines.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct JsonSlot {
    id: String,
    civil: String,
    due: String,
    starts: String,
    utc: String,
    delay_seconds: i64,
    held: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// The start in the schedule's zone, for people.
    local: String,
    /// Notes for people: why it is skipped, why it is late, and what a change of clocks does to it.
    told: String,
}

impl JsonSlot {
    pub(super) fn new(gameday: &Gameday, slot: &Slot) -> Self {
        let why_not = gameday.why_closed(slot).map(str::to_owned);
        let [local, _, told] = cells(gameday, slot);
        let written = |at: &jiff::Zoned| at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        Self {
            id: gameday.schedule.id(slot),
            civil: slot.civil_text(),
            due: written(&slot.due),
            starts: written(&slot.starts()),
            utc: slot.starts().timestamp().to_string(),
            delay_seconds: slot.delay.as_secs(),
            held: why_not.is_none(),
            why_not,
            note: slot.note.clone(),
            local,
            told,
        }
    }

    /// Returns the slot's cells for people: civil time, local time, UTC, notes.
    pub(super) fn row(&self) -> Vec<String> {
        let utc = self.utc.trim_end_matches('Z').replace('T', " ");
        // Seconds are shown only if they are not zero.
        let utc = utc.strip_suffix(":00").unwrap_or(&utc).to_owned();
        vec![self.civil.clone(), self.local.clone(), utc, self.told.clone()]
    }

    /// Returns the slot's start in UTC, as a text that sorts by time.
    pub(super) fn utc(&self) -> &str {
        &self.utc
    }
}

/// Returns the cells of a slot: local time, UTC, and notes.
pub(super) fn cells(gameday: &Gameday, slot: &Slot) -> [String; 3] {
    let starts = slot.starts();
    let utc = starts.with_time_zone(TimeZone::UTC);
    let mut notes = Vec::new();
    if let Some(why) = gameday.why_closed(slot) {
        notes.push(format!("skipped: {why}"));
    }
    if !slot.delay.is_zero() {
        notes.push(format!("{} after {}", Span(slot.delay.unsigned_abs()), clock(&slot.due)));
    }
    notes.extend(slot.note.clone());
    [local(&starts), format!("{} {}", utc.date(), clock(&utc)), notes.join("; ")]
}
