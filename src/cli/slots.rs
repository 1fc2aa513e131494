//! Slots for people and for programs.

use firedrill_gameday::{Gameday, Slot};
use firedrill_wire::Span;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::days::{clock, local};

/// The moment at which a preview begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// The begin of a day, in the zone of each schedule.
    Day(Date),
    /// A moment.
    Moment(Timestamp),
}

/// Parses a date, or a time.
pub(super) fn from(text: &str) -> Result<From, String> {
    let day = text.parse::<Date>().ok().filter(|_| text.len() == 10).map(From::Day);
    day.or_else(|| text.parse::<Timestamp>().ok().map(From::Moment))
        .ok_or_else(|| "a date (2027-03-01) or a time (2027-03-01T09:30:00Z) is wanted".to_owned())
}

impl From {
    /// Returns the moment in a zone after which slots are shown.
    pub(super) fn moment(self, zone: &TimeZone) -> Timestamp {
        match self {
            Self::Moment(at) => at,
            Self::Day(day) => {
                let begin = day.to_zoned(zone.clone()).map(|begin| begin.timestamp());
                // A slot at midnight is one of that day.
                let before = begin.and_then(|begin| begin.checked_sub(jiff::SignedDuration::from_secs(1)));
                before.unwrap_or(Timestamp::MIN)
            }
        }
    }

    /// Returns a moment that is not after it in any zone.
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
    /// Its start in its zone, and what there is to know, for people.
    local: String,
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

    /// Returns its civil time and its cells for people.
    pub(super) fn row(&self) -> Vec<String> {
        let utc = self.utc.trim_end_matches('Z').replace('T', " ");
        // A full minute has no seconds.
        let utc = utc.strip_suffix(":00").unwrap_or(&utc).to_owned();
        vec![self.civil.clone(), self.local.clone(), utc, self.told.clone()]
    }

    /// Returns its start in UTC, which sorts by time.
    pub(super) fn utc(&self) -> &str {
        &self.utc
    }
}

/// Returns the cells of a slot: local time, UTC, and what there is to know.
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
