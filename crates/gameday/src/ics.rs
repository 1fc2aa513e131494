//! Writes a calendar of game days in iCalendar format (RFC 5545). Times are in UTC; the identifier of a slot stays the same.

use jiff::{SignedDuration, Timestamp};

/// Maximum length of a line in bytes, without its line break.
const LINE: usize = 75;

/// An event of the calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The game day's name.
    pub name: String,
    /// The civil time of its slot.
    pub civil: String,
    /// Its start.
    pub starts: Timestamp,
    /// Its length.
    pub lasts: SignedDuration,
    /// Its heading.
    pub summary: String,
    /// Its description.
    pub about: String,
    /// The times before the start at which it is announced.
    pub announce: Vec<SignedDuration>,
}

/// Returns a calendar. `stamp` is the time at which it was made.
#[must_use]
pub fn calendar(events: &[Event], stamp: Timestamp) -> String {
    let mut out = String::new();
    let mut line = |text: String| fold(&mut out, &text);
    line("BEGIN:VCALENDAR".to_owned());
    line("VERSION:2.0".to_owned());
    line("PRODID:-//Firedrill//Game days//EN".to_owned());
    line("CALSCALE:GREGORIAN".to_owned());
    for event in events {
        let until = event.starts.checked_add(event.lasts).unwrap_or(event.starts);
        line("BEGIN:VEVENT".to_owned());
        line(format!("UID:{}", uid(&event.name, &event.civil)));
        line(format!("DTSTAMP:{}", utc(stamp)));
        line(format!("DTSTART:{}", utc(event.starts)));
        line(format!("DTEND:{}", utc(until)));
        line(format!("SUMMARY:{}", escaped(&event.summary)));
        line(format!("DESCRIPTION:{}", escaped(&event.about)));
        for before in &event.announce {
            line("BEGIN:VALARM".to_owned());
            line("ACTION:DISPLAY".to_owned());
            line(format!("DESCRIPTION:{}", escaped(&event.summary)));
            line(format!("TRIGGER:-PT{}S", before.as_secs()));
            line("END:VALARM".to_owned());
        }
        line("END:VEVENT".to_owned());
    }
    line("END:VCALENDAR".to_owned());
    out
}

/// Returns the identifier of a slot. Calendar programs use it to update an event instead of adding it twice.
fn uid(name: &str, civil: &str) -> String {
    let digits: String = civil.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{name}-{digits}@gamedays.firedrill")
}

/// Formats a time like `20261204T130000Z`.
fn utc(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Escapes a text as a value.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace(';', "\\;")
        .replace(',', "\\,")
        .replace("\r\n", "\\n")
        .replace(['\n', '\r'], "\\n")
}

/// Adds a line. A long line is folded, never inside a character.
fn fold(out: &mut String, text: &str) {
    let mut length = 0;
    for c in text.chars() {
        if length + c.len_utf8() > LINE {
            out.push_str("\r\n ");
            length = 1;
        }
        out.push(c);
        length += c.len_utf8();
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use firedrill_plan::diagnostic::Sink;

    use super::*;
    use crate::{ClosedSpan, calendar::events, times::zones};

    fn sample() -> Event {
        Event {
            name: "payments-friday".to_owned(),
            civil: "2026-12-04T14:00".to_owned(),
            starts: "2026-12-04T13:06:12Z".parse().unwrap(),
            lasts: SignedDuration::from_mins(90),
            summary:
                "payments, cards; \\ and a very long heading that has to be folded: üüüüüüüüüüüüüüüüüüüüüüüü"
                    .to_owned(),
            about: "one\ntwo".to_owned(),
            announce: vec![SignedDuration::from_hours(24)],
        }
    }

    #[test]
    fn a_parser_reads_back_what_was_written() {
        let text = calendar(&[sample()], "2026-12-01T00:00:00Z".parse().unwrap());
        for line in text.split("\r\n") {
            assert!(line.len() <= LINE && !line.contains(['\r', '\n']), "{line}");
        }
        let unfolded = text.replace("\r\n ", "");
        let alarm = format!(
            "BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:{}\r\nTRIGGER:-PT86400S\r\nEND:VALARM\r\nEND:VEVENT\r\n",
            escaped(&sample().summary)
        );
        assert!(unfolded.contains(&alarm), "a day before: {unfolded}");
        let mut sink = Sink::default();
        let file = sink.add_source("calendar.ics", text.as_str());
        let read = events(&text, file, "it", &zones(), &mut sink);
        assert!(!sink.failed(), "{}", sink.into_report().render(false, 100));
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].why, format!("{} (it)", sample().summary));
        let until = "2026-12-04T14:36:12Z".parse().unwrap();
        assert_eq!(read[0].span, ClosedSpan::Moments(sample().starts, until));
    }

    #[test]
    fn an_identifier_depends_on_the_slot_only() {
        let text = |stamp: &str, starts: &str| {
            let event = Event { starts: starts.parse().unwrap(), ..sample() };
            calendar(&[event], stamp.parse().unwrap())
        };
        let uid = "UID:payments-friday-20261204T1400@gamedays.firedrill\r\n";
        assert!(text("2026-12-01T00:00:00Z", "2026-12-04T13:06:12Z").contains(uid));
        assert!(text("2026-12-02T00:00:00Z", "2026-12-04T13:09:00Z").contains(uid));
        assert!(
            text("2026-12-02T00:00:00Z", "2026-12-04T13:09:00Z").contains("DTSTART:20261204T130900Z\r\n")
        );
    }
}
