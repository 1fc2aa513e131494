use proptest::prelude::*;

use super::*;
use crate::times::{date, moment, zones};

/// Reads a calendar with these lines in it; returns its closed times, and the messages.
fn read(lines: &str) -> (Vec<Closed>, String) {
    read_file(&format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{}\r\nEND:VCALENDAR\r\n",
        lines.replace('\n', "\r\n")
    ))
}

fn read_file(text: &str) -> (Vec<Closed>, String) {
    let mut sink = Sink::default();
    let file = sink.add_source("holidays.ics", text);
    let events = events(text, file, "holidays.ics", &zones(), &mut sink);
    (events, sink.into_report().render(false, 100))
}

fn event(lines: &str) -> (Vec<Closed>, String) {
    read(&format!("BEGIN:VEVENT\n{lines}\nEND:VEVENT"))
}

#[test]
fn the_end_of_days_is_exclusive() {
    let (events, said) =
        event("SUMMARY:Christmas\\, and rest\nDTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227");
    assert_eq!(said, "");
    assert_eq!(events[0].span, Span::Days(date("2026-12-24").unwrap(), date("2026-12-26").unwrap()));
    assert_eq!(events[0].why, "Christmas, and rest (holidays.ics)");
    let one = Span::Days(date("2026-12-24").unwrap(), date("2026-12-24").unwrap());
    assert_eq!(event("DTSTART;VALUE=DATE:20261224").0[0].span, one);
    assert_eq!(event("DTSTART:20261224\nDTEND:20261225").0[0].span, one);
    assert_eq!(event("DTSTART:20261224\nDTEND:20261225").0[0].why, "holidays.ics");
}

#[test]
fn times_are_in_utc_in_a_zone_or_in_the_zone_of_the_schedule() {
    let moments = |from: &str, until: &str| Span::Moments(from.parse().unwrap(), until.parse().unwrap());
    let freeze = moments("2026-12-04T13:00:00Z", "2026-12-04T15:00:00Z");
    assert_eq!(event("DTSTART:20261204T130000Z\nDTEND:20261204T150000Z").0[0].span, freeze);
    let zoned = "DTSTART;TZID=Europe/Berlin:20261204T140000\nDTEND;TZID=\"Europe/Berlin\":20261204T160000";
    assert_eq!(event(zoned).0[0].span, freeze);
    let leap = moments("2026-12-31T23:59:59Z", "2026-12-31T23:59:59Z");
    assert_eq!(event("DTSTART:20261231T235960Z").0[0].span, leap, "a leap second");
    let civil = Span::Civil(moment("2026-12-04T14:00").unwrap(), moment("2026-12-04T16:00").unwrap());
    assert_eq!(event("DTSTART:20261204T140000\nDTEND:20261204T160000").0[0].span, civil);
}

#[test]
fn lines_are_unfolded_and_other_parts_are_ignored() {
    let (events, said) = read(
        "BEGIN:VTIMEZONE\nTZID:x\nBEGIN:DAYLIGHT\nDTSTART:19810329T020000\nRRULE:FREQ=YEARLY\nEND:DAYLIGHT\nEND:VTIMEZONE\n\
         BEGIN:VEVENT\nSUMM\n ARY:Fr\n\teeze\nDTSTART;VALUE=DATE:2026\n 1204\nATTENDEE;CN=\"a:b;c\":mailto:x\nBEGIN:VALARM\nDURATION:PT5M\nEND:VALARM\nEND:VEVENT\n\
         BEGIN:VEVENT\nSTATUS:CANCELLED\nDTSTART:20261205\nEND:VEVENT",
    );
    assert_eq!(said, "");
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].why, "Freeze (holidays.ics)");
}

#[test]
fn an_alarm_has_properties_of_its_own() {
    let own = "SUMMARY:Freeze\nDTSTART;VALUE=DATE:20261204";
    let alarm = "BEGIN:VALARM\nSUMMARY:Alarm\nSTATUS:CANCELLED\nDTSTART:20270101\nDTEND:20270105\nDURATION:PT5M\nEND:VALARM";
    for lines in
        [format!("{own}\n{alarm}"), format!("{alarm}\n{own}"), own.replace('\n', &format!("\n{alarm}\n"))]
    {
        let (events, said) = event(&lines);
        assert_eq!(said, "", "{lines}");
        let day = date("2026-12-04").unwrap();
        assert_eq!(
            events,
            [Closed { span: Span::Days(day, day), why: "Freeze (holidays.ics)".to_owned() }],
            "{lines}"
        );
    }
    // A property after the alarm belongs to the event again.
    assert!(event(&format!("{own}\n{alarm}\nDURATION:PT1H")).1.contains("`DURATION` of an event"));
}

#[test]
fn properties_that_would_change_the_times_are_refused() {
    for (lines, part) in [
        ("DTSTART:20261204\nRRULE:FREQ=YEARLY", "`RRULE` of an event is not understood"),
        ("DTSTART:20261204\nRDATE:20261206", "`RDATE`"),
        ("DTSTART:20261204T130000Z\nDURATION:PT1H", "give the event a DTEND"),
        ("DTSTART;TZID=W. Europe Standard Time:20261204T140000", "is no zone that is known here"),
        ("DTSTART:20261304", "is no date"),
        ("DTSTART:20261204T250000Z", "is no time"),
        ("DTSTART:20261204T130061Z", "`20261204T130061Z` is no time"),
        ("DTSTART:20261204T130000Z\nDTEND:20261204T130099Z", "`20261204T130099Z` is no time"),
        ("DTSTART:2026-12-04", "is no date"),
        ("DTSTART;VALUE=DATE:20261204T130000Z", "is no date"),
        ("DTSTART:20261204T130000Z\nDTEND:20261205", "in another form"),
        ("DTSTART:20261204\nDTEND:20261203", "ends before it begins"),
        ("SUMMARY:x", "does not say when it begins"),
        ("DTSTART", "this line has no value"),
    ] {
        let (events, said) = event(lines);
        assert!(said.contains(part), "{lines}: {said}");
        assert!(said.contains("holidays.ics:"), "with its place: {said}");
        assert!(events.is_empty(), "{lines}: {events:?}");
    }
    assert!(read_file("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261204\n").1.contains("has no end"));
    assert!(read_file("BEGIN:VCALENDAR\nEND:VEVENT\n").1.contains("does not end the part"));
    assert!(
        read_file("").1.contains("no iCalendar file") && read_file("hello").1.contains("no iCalendar file")
    );
}

proptest! {
    #[test]
    fn any_text_gives_an_answer(text in ".{0,200}", lines in "[A-Z0-9:;=\"T\\\\Z\\n /-]{0,200}") {
        read_file(&text);
        event(&lines);
        event(&format!("DTSTART:{text}\nDTEND{lines}"));
    }
}
