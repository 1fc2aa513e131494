//! Parses and formats dates and times of day as files have them, and looks up the built-in time zones.

use jiff::{
    civil::{Date, DateTime, Time},
    tz::{TimeZone, TimeZoneDatabase},
};

/// Returns the built-in zone data, which are the same on every host.
#[must_use]
pub fn zones() -> TimeZoneDatabase {
    TimeZoneDatabase::bundled()
}

/// Returns the zone with exactly this IANA name; other spellings give `None`.
pub(crate) fn zone(name: &str, zones: &TimeZoneDatabase) -> Option<TimeZone> {
    let zone = zones.get(name).ok()?;
    (zone.iana_name() == Some(name) && !zone.is_unknown()).then_some(zone)
}

/// Parses `2026-12-04`, and nothing else.
pub(crate) fn date(text: &str) -> Option<Date> {
    let [year, month, day] = numbers(text, "-", [4, 2, 2])?;
    Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// Parses `14:00`, and nothing else.
pub(crate) fn time(text: &str) -> Option<Time> {
    let [hour, minute] = numbers(text, ":", [2, 2])?;
    Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0).ok()
}

/// Parses `2026-12-04T14:00`, and nothing else.
pub(crate) fn moment(text: &str) -> Option<DateTime> {
    let (day, at) = text.split_once('T')?;
    Some(date(day)?.to_datetime(time(at)?))
}

/// Parses numbers that are separated by `between`, with exactly the given counts of digits.
fn numbers<const N: usize>(text: &str, between: &str, digits: [usize; N]) -> Option<[u16; N]> {
    let mut parts = text.split(between);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part =
            parts.next().filter(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Formats the time of day, such as `14:00`.
pub(crate) fn clock(at: DateTime) -> String {
    format!("{:02}:{:02}", at.hour(), at.minute())
}

/// Formats a civil time, such as `2026-12-04T14:00`.
pub(crate) fn written(at: DateTime) -> String {
    format!("{}T{}", at.date(), clock(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_have_exactly_one_form() {
        assert_eq!(moment("2026-12-04T14:00").map(written).as_deref(), Some("2026-12-04T14:00"));
        for wrong in ["2026-12-4", "20261204", "2026-02-30", "2026-12-04T", "+026-12-04", ""] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
        for wrong in ["9:00", "24:00", "14:60", "14:00:00", "1400", "14:0٣"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn zones_have_exactly_one_spelling() {
        let zones = zones();
        assert!(zone("Europe/Berlin", &zones).is_some() && zone("UTC", &zones).is_some());
        for wrong in ["europe/berlin", "Europe/Berlln", "CEST", "+02:00", "", "Etc/Unknown"] {
            assert!(zone(wrong, &zones).is_none(), "{wrong}");
        }
    }
}
