//! Reads the times of events from iCalendar files (RFC 5545) of holidays and freezes. A property that would change the times and is not
//! supported is an error: an overlooked freeze would be worse than an error message.

mod line;

use std::path::Path;

use firedrill_files::text;
use firedrill_plan::diagnostic::{FileId, Place, Problem, Sink};
use firedrill_wire::text::{TEXT_MOST, clean};
use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::{TimeZone, TimeZoneDatabase},
};

use self::line::{Line, split, unescaped, unfolded};
use crate::{
    closed::{Closed, Span},
    times::zone,
};

/// Maximum size of a calendar, in bytes.
const MAX_BYTES: u64 = 4 << 20;
/// Maximum length of a part's name or of a value in a message, in characters.
const VALUE_MOST: usize = 40;
/// Maximum length of a zone's name in a message, in characters. Some programs write long descriptions in its place.
const ZONE_MOST: usize = 60;

/// Unsupported properties that repeat an event or change its length, each with the advice for people.
const REFUSED: [(&str, &str); 4] = [
    ("RRULE", "write each date as an event of its own; many calendars export single events"),
    ("RDATE", "write each date as an event of its own"),
    ("EXRULE", "write each date as an event of its own"),
    ("DURATION", "give the event a DTEND"),
];

/// A date or time, as iCalendar writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// A whole day, in the zone of the schedule that asks.
    Day(Date),
    /// A time with a zone or in UTC.
    Moment(Timestamp),
    /// A time without a zone: it is in the zone of the schedule that asks.
    Civil(DateTime),
}

/// An event while it is read. Lines are indexes into [`Reader::lines`].
#[derive(Default)]
struct Event {
    /// The line of its `BEGIN`.
    begins: usize,
    /// Its beginning, and the line that has it.
    from: Option<(When, usize)>,
    /// Its end, and the line that has it.
    until: Option<(When, usize)>,
    summary: Option<String>,
    cancelled: bool,
    /// Whether an error of it was already reported.
    broken: bool,
}

/// Reads the events of a calendar file. `named` is the place in the game day that names the file; errors go to `sink`.
pub(crate) fn load(path: &Path, named: Place, zones: &TimeZoneDatabase, sink: &mut Sink) -> Vec<Closed> {
    let name = path.display().to_string();
    let text = match text::read(path, MAX_BYTES) {
        Ok(text) => text.text,
        Err(error) => {
            let problem = Problem::error(format!("the calendar {name} could not be read: {error}"));
            let help = "its path is relative to the folder that has the folder `gamedays`, or else to the game day's own";
            sink.push(problem.at(named, "named here").help(help));
            return Vec::new();
        }
    };
    let file = sink.add_source(name.as_str(), text.as_str());
    let title = path.file_name().map_or(name, |name| name.to_string_lossy().into_owned());
    events(&text, file, &title, zones, sink)
}

/// Reads the events of a calendar's text. `title` is the calendar's name in the reasons why a game day is not held. Errors go to `sink`.
pub fn events(
    text: &str,
    file: FileId,
    title: &str,
    zones: &TimeZoneDatabase,
    sink: &mut Sink,
) -> Vec<Closed> {
    let lines = unfolded(text);
    let mut reader = Reader { lines: &lines, file, zones, sink };
    // The parts that have begun and not ended, each with the line of its `BEGIN`; the innermost is the last.
    let mut open: Vec<(String, usize)> = Vec::new();
    let (mut event, mut closed) = (Event::default(), Vec::new());
    let is_calendar =
        lines.first().is_some_and(|line| line.text.trim().eq_ignore_ascii_case("BEGIN:VCALENDAR"));
    if !is_calendar {
        let first_line = 0;
        reader.wrong(first_line, "this is no iCalendar file", "it begins with `BEGIN:VCALENDAR`");
        return closed;
    }
    for (number, line) in lines.iter().enumerate() {
        let Some((name, params, value)) = split(&line.text) else {
            reader.wrong(
                number,
                "this line has no value",
                "a line is `NAME:VALUE`, and one that goes on begins with a blank",
            );
            continue;
        };
        match name.as_str() {
            "BEGIN" => {
                let part = value.trim().to_ascii_uppercase();
                if part == "VEVENT" {
                    event = Event { begins: number, ..Event::default() };
                }
                open.push((part, number));
            }
            "END" => {
                let part = value.trim().to_ascii_uppercase();
                if open.last().is_none_or(|(last, _)| *last != part) {
                    reader.wrong(
                        number,
                        &format!("`END:{}` does not end the part that began last", clean(&part, VALUE_MOST)),
                        "the file may be cut off",
                    );
                    return closed;
                }
                open.pop();
                if part == "VEVENT" {
                    closed.extend(reader.finished(std::mem::take(&mut event), title));
                }
            }
            // Only properties directly in an event count: alarms and zones have properties of the same names.
            _ if open.last().is_some_and(|(part, _)| part == "VEVENT") => {
                reader.property(number, &name, &params, value, &mut event);
            }
            _ => {}
        }
    }
    if let Some((part, number)) = open.last() {
        let message = format!("`BEGIN:{}` has no end", clean(part, VALUE_MOST));
        reader.wrong(*number, &message, "the file may be cut off, so the game day is not read");
    }
    closed
}

/// The parts that all steps of reading need.
struct Reader<'a> {
    lines: &'a [Line],
    file: FileId,
    zones: &'a TimeZoneDatabase,
    sink: &'a mut Sink,
}

impl Reader<'_> {
    /// Reports an error at a line.
    fn wrong(&mut self, line: usize, message: &str, help: &str) {
        let at = self.lines.get(line).map_or(0..0, |line| line.at.clone());
        let problem = Problem::error(message).at(Place { file: self.file, at }, "here");
        self.sink.push(problem.help(help));
    }

    /// Reads a property of an event.
    fn property(
        &mut self,
        line: usize,
        name: &str,
        params: &[(String, String)],
        value: &str,
        event: &mut Event,
    ) {
        if let Some((_, help)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            event.broken = true;
            return self.wrong(line, &format!("`{name}` of an event is not understood"), help);
        }
        match name {
            "SUMMARY" => event.summary = Some(clean(&unescaped(value), TEXT_MOST).into_owned()),
            "STATUS" => event.cancelled = value.trim().eq_ignore_ascii_case("CANCELLED"),
            "DTSTART" | "DTEND" => match self.when(params, value) {
                Ok(when) if name == "DTSTART" => event.from = Some((when, line)),
                Ok(when) => event.until = Some((when, line)),
                Err((message, help)) => {
                    event.broken = true;
                    self.wrong(line, &message, &help);
                }
            },
            _ => {}
        }
    }

    /// Reads a date or a time. The error is a message and the help for it.
    fn when(&self, params: &[(String, String)], value: &str) -> Result<When, (String, String)> {
        let param = |name: &str| params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let value = value.trim();
        let shown = clean(value, VALUE_MOST);
        let no_date =
            || (format!("`{shown}` is no date"), "for example `DTSTART;VALUE=DATE:20261225`".to_owned());
        let Some((day, at)) = value.split_once('T') else {
            return digits::<8>(value).and_then(day).map(When::Day).ok_or_else(no_date);
        };
        if param("VALUE").is_some_and(|kind| kind.eq_ignore_ascii_case("DATE")) {
            return Err(no_date());
        }
        let (at, is_utc) = at.strip_suffix('Z').map_or((at, false), |at| (at, true));
        let moment = digits::<8>(day).and_then(self::day).zip(digits::<6>(at)).and_then(|(day, at)| {
            // RFC 5545 allows the second 60 for leap seconds; `jiff` does not, so it becomes 59.
            let second = if at[2] == 60 { 59 } else { at[2] };
            Some(day.to_datetime(jiff::civil::Time::new(at[0], at[1], second, 0).ok()?))
        });
        let Some(moment) = moment else {
            let help = "for example `20261225T080000Z`, or `DTSTART;TZID=Europe/Berlin:20261225T080000`";
            return Err((format!("`{shown}` is no time"), help.to_owned()));
        };
        let timestamp_in = |zone: &TimeZone| zone.to_ambiguous_timestamp(moment).compatible();
        match (is_utc, param("TZID")) {
            (true, _) => timestamp_in(&TimeZone::UTC).map(When::Moment).map_err(|_| no_date()),
            (false, None) => Ok(When::Civil(moment)),
            (false, Some(name)) => {
                let name = name.trim_start_matches('/');
                let Some(zone) = zone(name, self.zones) else {
                    let message = format!("`{}` is no zone that is known here", clean(name, ZONE_MOST));
                    return Err((
                        message,
                        "export the calendar with IANA names, such as `Europe/Berlin`, or in UTC".to_owned(),
                    ));
                };
                timestamp_in(&zone).map(When::Moment).map_err(|_| no_date())
            }
        }
    }

    /// Returns the closed time of an event that was read; `None` if it is cancelled or has an error.
    fn finished(&mut self, event: Event, title: &str) -> Option<Closed> {
        if event.broken || event.cancelled {
            return None;
        }
        let Some((from, _)) = event.from else {
            self.wrong(event.begins, "this event does not say when it begins", "it needs a DTSTART");
            return None;
        };
        let line = event.until.map_or(event.begins, |(_, line)| line);
        let span = match (from, event.until.map(|(until, _)| until)) {
            // The DTEND of whole days is exclusive: the last day is the day before it. Some programs write one day as both DTSTART and DTEND.
            (When::Day(from), None) => Some(Span::Days(from, from)),
            (When::Day(from), Some(When::Day(until))) if until <= from => {
                (until == from).then_some(Span::Days(from, from))
            }
            (When::Day(from), Some(When::Day(until))) => {
                until.yesterday().ok().map(|last| Span::Days(from, last))
            }
            (When::Moment(from), None) => Some(Span::Moments(from, from)),
            (When::Moment(from), Some(When::Moment(until))) if from <= until => {
                Some(Span::Moments(from, until))
            }
            (When::Civil(from), None) => Some(Span::Civil(from, from)),
            (When::Civil(from), Some(When::Civil(until))) if from <= until => Some(Span::Civil(from, until)),
            _ => None,
        };
        let Some(span) = span else {
            self.wrong(
                line,
                "this event ends before it begins, or in another form",
                "DTSTART and DTEND are both dates, or both times",
            );
            return None;
        };
        let named = event.summary.filter(|summary| !summary.trim().is_empty());
        Some(Closed {
            span,
            why: named.map_or_else(|| title.to_owned(), |summary| format!("{summary} ({title})")),
        })
    }
}

/// Parses exactly `N` digits as pairs: of 8 digits century, year, month and day; of 6 digits hour, minute and second (the fourth number is 0).
fn digits<const N: usize>(text: &str) -> Option<[i8; 4]> {
    if text.len() != N || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut pairs = [0; 4];
    for (pair, at) in pairs.iter_mut().zip((0..N).step_by(2)) {
        *pair = text.get(at..at + 2)?.parse().ok()?;
    }
    Some(pairs)
}

/// Returns the date of such numbers; `None` if there is no such date.
fn day([century, year, month, day]: [i8; 4]) -> Option<Date> {
    Date::new(i16::from(century) * 100 + i16::from(year), month, day).ok()
}

#[cfg(test)]
mod tests;
