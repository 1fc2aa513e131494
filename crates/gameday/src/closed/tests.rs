use jiff::{SignedDuration, civil::date};

use super::*;
use crate::times::{zone, zones};

/// For [`covers`]: the slot starts when it is due.
const NO_DELAY: i64 = 0;

/// Returns a slot in Berlin with a delay in minutes, and the zone.
fn slot(civil: DateTime, delay_min: i64) -> (Slot, TimeZone) {
    let zone = zone("Europe/Berlin", &zones()).unwrap();
    let due = zone.to_ambiguous_zoned(civil).compatible().unwrap();
    (Slot { civil, due, delay: SignedDuration::from_mins(delay_min), note: None }, zone)
}

fn covers(span: Span, civil: DateTime, delay_min: i64) -> bool {
    let (slot, zone) = slot(civil, delay_min);
    Closed { span, why: String::new() }.covers(&slot, &zone)
}

#[test]
fn both_ends_of_a_range_of_days_are_in_it() {
    let days = || Span::Days(date(2026, 12, 18), date(2027, 1, 4));
    for (day, wanted) in [
        (date(2026, 12, 17), false),
        (date(2026, 12, 18), true),
        (date(2027, 1, 1), true),
        (date(2027, 1, 4), true),
        (date(2027, 1, 5), false),
    ] {
        assert_eq!(covers(days(), day.at(0, 0, 0, 0), NO_DELAY), wanted, "{day}");
        assert_eq!(covers(days(), day.at(23, 59, 0, 0), NO_DELAY), wanted, "{day}");
    }
    // The start counts, and the delay may move it to the next day.
    assert!(covers(days(), date(2026, 12, 17).at(23, 55, 0, 0), 10));
}

#[test]
fn the_end_of_moments_and_civil_times_is_exclusive() {
    let freeze = |from: &str, until: &str| Span::Moments(from.parse().unwrap(), until.parse().unwrap());
    let day = date(2026, 12, 4);
    let span = || freeze("2026-12-04T13:00:00Z", "2026-12-04T14:00:00Z");
    assert!(covers(span(), day.at(14, 0, 0, 0), NO_DELAY), "14:00 in Berlin is 13:00 in UTC");
    assert!(covers(span(), day.at(13, 55, 0, 0), 5));
    assert!(!covers(span(), day.at(15, 0, 0, 0), NO_DELAY));
    let moment = || freeze("2026-12-04T13:00:00Z", "2026-12-04T13:00:00Z");
    assert!(covers(moment(), day.at(14, 0, 0, 0), NO_DELAY));
    assert!(!covers(moment(), day.at(14, 1, 0, 0), NO_DELAY));
    let civil = || Span::Civil(day.at(14, 0, 0, 0), day.at(15, 0, 0, 0));
    assert!(covers(civil(), day.at(14, 30, 0, 0), NO_DELAY));
    assert!(!covers(civil(), day.at(13, 30, 0, 0), NO_DELAY));
}
