//! Patterns in cron's five fields, which select days and times of day. Knows only civil times, and no time zone.

use std::ops::Range;

use jiff::civil::{Date, DateTime};

/// A pattern of five fields. In each set, bit N means that the value N is selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    /// Days of the month; bit 0 ([`LAST_DAY`]) means the last day of the month (`L`).
    days: u64,
    months: u64,
    /// Days of the week; 0 is Sunday.
    weekdays: u64,
    /// Days of the week (0 is Sunday) that are selected only once in a month, such as `FRI#1`.
    in_week: Vec<(i8, Week)>,
}

/// The occurrence of a day of the week in a month: the first to the fifth, or the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Week {
    Number(i8),
    Last,
}

/// An error in a pattern, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CronError {
    /// The byte range in the pattern.
    pub(crate) at: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// A field: its name, its bounds and the names of its values, the first of which is the lower bound.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

/// The indexes of the five fields.
const MINUTE: usize = 0;
const HOUR: usize = 1;
const DAY: usize = 2;
const MONTH: usize = 3;
const WEEKDAY: usize = 4;
/// In the set of days of the month: the last day. No month has a day 0, so its bit is free.
const LAST_DAY: u64 = 1;

/// The five fields, in order.
const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, names: &[] },
    Field { name: "hour", least: 0, most: 23, names: &[] },
    Field { name: "day of month", least: 1, most: 31, names: &[] },
    Field { name: "month", least: 1, most: 12, names: &MONTHS },
    Field { name: "day of week", least: 0, most: 7, names: &WEEKDAYS },
];
const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// Maximum number of days of each month.
const LONGEST: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/// Number of days that are searched for the next time. The rarest patterns are those like `0 0 * 2 MON#5`. They are due every 28 years, and
/// around the year 2100, which is no leap year, after 40 years.
const HORIZON_DAYS: usize = 42 * 366;

impl Cron {
    /// Parses a pattern.
    ///
    /// # Errors
    /// The text is no pattern, it is ambiguous, or it selects no day.
    pub(crate) fn parse(text: &str) -> Result<Self, CronError> {
        let fields = words(text);
        if fields.len() != FIELDS.len() {
            let message = match fields.len() {
                1 if text.trim().starts_with('@') => "nicknames such as `@daily` are not known".to_owned(),
                6 | 7 => format!("{} fields: seconds and years are not known", fields.len()),
                count => format!("{count} fields, and a pattern has five"),
            };
            let help = "minute, hour, day of month, month, day of week: \"0 14 * * FRI\"".to_owned();
            return Err(CronError { at: 0..text.len(), message, help });
        }
        // Returns the text of a field, and its place in the pattern.
        let part = |index: usize| (&text[fields[index].clone()], fields[index].start);
        let plain = |index: usize| {
            let (field, start) = part(index);
            set(field, start, &FIELDS[index])
        };
        let (minutes, hours, months) = (plain(MINUTE)?, plain(HOUR)?, plain(MONTH)?);
        let ((day_text, day_start), (weekday_text, weekday_start)) = (part(DAY), part(WEEKDAY));
        let days = days(day_text, day_start)?;
        let (weekdays, in_week) = days_of_week(weekday_text, weekday_start)?;
        if day_text != "*" && weekday_text != "*" {
            return Err(CronError {
                at: fields[DAY].start..fields[WEEKDAY].end,
                message: "a day of the month and a day of the week: some programs take either, others both"
                    .to_owned(),
                help: "write `*` for one of them; the first Friday is `* * FRI#1`, the last one `* * FRIL`"
                    .to_owned(),
            });
        }
        // Whether a month has one of the days. Every month has a last day.
        let has_day = |month: &u32| {
            let longest = LONGEST.get(*month as usize - 1).copied().unwrap_or(31);
            days & LAST_DAY != 0 || (1..=longest).any(|day| days >> day & 1 == 1)
        };
        if !(1..=12).filter(|month| months >> month & 1 == 1).any(|month| has_day(&month)) {
            return Err(CronError {
                at: fields[DAY].start..fields[MONTH].end,
                message: "it is never due: these months have no such day".to_owned(),
                help: "`L` is the last day of a month".to_owned(),
            });
        }
        Ok(Self { text: text.to_owned(), minutes, hours, days, months, weekdays, in_week })
    }

    /// Returns the pattern as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns all times at or after a moment and within about 42 years of it, in ascending order.
    pub(crate) fn starting_at(&self, from: DateTime) -> impl Iterator<Item = DateTime> + '_ {
        let days = std::iter::successors(Some(from.date()), |day| day.tomorrow().ok());
        let near = days.take(HORIZON_DAYS).filter(|day| self.is_on(*day));
        near.flat_map(|day| self.times(day)).filter(move |time| *time >= from)
    }

    /// Whether a day is selected.
    fn is_on(&self, day: Date) -> bool {
        let weekday = day.weekday().to_sunday_zero_offset();
        let is_last = day.day() == day.days_in_month();
        let month = self.months >> day.month() & 1 == 1;
        let of_month = self.days >> day.day() & 1 == 1 || self.days & LAST_DAY != 0 && is_last;
        let in_week = self.in_week.iter().any(|(on, week)| {
            *on == weekday
                && match week {
                    Week::Number(number) => (day.day() - 1) / 7 + 1 == *number,
                    Week::Last => day.day() + 7 > day.days_in_month(),
                }
        });
        month && of_month && (self.weekdays >> weekday & 1 == 1 || in_week)
    }

    /// Returns the selected times of a day, in ascending order.
    fn times(&self, day: Date) -> impl Iterator<Item = DateTime> + '_ {
        let hours = (0..24_i8).filter(|hour| self.hours >> hour & 1 == 1);
        hours.flat_map(move |hour| {
            let minutes = (0..60_i8).filter(|minute| self.minutes >> minute & 1 == 1);
            minutes.map(move |minute| day.at(hour, minute, 0, 0))
        })
    }
}

/// Returns the byte ranges of the words of a text.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut inside = false;
    for (at, c) in text.char_indices() {
        match (inside, c.is_ascii_whitespace()) {
            (false, false) => words.push(at..at + c.len_utf8()),
            (true, false) => {
                if let Some(last) = words.last_mut() {
                    last.end = at + c.len_utf8();
                }
            }
            _ => {}
        }
        inside = !c.is_ascii_whitespace();
    }
    words
}

/// Parses the field of the days of the month. `start` is its place in the pattern.
fn days(text: &str, start: usize) -> Result<u64, CronError> {
    let mut days = 0;
    for (item, at) in items(text, start) {
        days |= if item.eq_ignore_ascii_case("L") { LAST_DAY } else { values(item, at, &FIELDS[DAY])? };
    }
    Ok(days)
}

/// Parses the field of the days of the week into the days that count in each week of a month, and those that count in one week only. 7 is
/// Sunday, like 0.
fn days_of_week(text: &str, start: usize) -> Result<(u64, Vec<(i8, Week)>), CronError> {
    let (mut plain, mut in_week) = (0, Vec::new());
    for (item, at) in items(text, start) {
        let (day, week) = if let Some((day, number)) = item.split_once('#') {
            let number = number.parse::<i8>().ok().filter(|number| (1..=5).contains(number));
            let Some(number) = number else {
                return Err(wrong(item, at, "is no week of a month", "`FRI#1` to `FRI#5`"));
            };
            (day, Week::Number(number))
        } else if let Some(day) = item.strip_suffix(['L', 'l']).filter(|day| !day.is_empty()) {
            (day, Week::Last)
        } else {
            plain |= values(item, at, &FIELDS[WEEKDAY])?;
            continue;
        };
        let number = value(day, at, &FIELDS[WEEKDAY])?;
        in_week.push((i8::try_from(number % 7).unwrap_or(0), week));
    }
    if plain >> 7 & 1 == 1 {
        plain |= 1;
    }
    Ok((plain, in_week))
}

/// Parses a field without special items into the set of its values.
fn set(text: &str, start: usize, field: &Field) -> Result<u64, CronError> {
    items(text, start).try_fold(0, |set, (item, at)| Ok(set | values(item, at, field)?))
}

/// Returns the items of a list, each with its place in the pattern. `start` is the place of the list.
fn items(text: &str, start: usize) -> impl Iterator<Item = (&str, usize)> {
    text.split(',').scan(start, |next, item| {
        let at = *next;
        *next += item.len() + 1;
        Some((item, at))
    })
}

/// Parses an item of a list into the set of its values: `*`, a value or a range; `*` and ranges may have a step.
fn values(item: &str, at: usize, field: &Field) -> Result<u64, CronError> {
    let (base, step) = match item.split_once('/') {
        Some((base, step)) => (base, Some(step)),
        None => (item, None),
    };
    let (from, until) = match base.split_once('-') {
        // For days of the week, 7 is only another number of Sunday.
        _ if base == "*" => (field.least, if field.most == 7 { 6 } else { field.most }),
        Some((from, until)) => (value(from, at, field)?, value(until, at, field)?),
        None if step.is_some() => {
            let help = format!("`*/N`, or a range such as `{base}-{}/N`", field.most);
            return Err(wrong(item, at, "has a step without a range", &help));
        }
        None => {
            let only = value(base, at, field)?;
            (only, only)
        }
    };
    if until < from {
        return Err(wrong(item, at, "runs backwards", "write both parts as a list: `FRI,SAT,SUN,MON`"));
    }
    let step = match step {
        None => 1,
        Some(step) => {
            let number =
                step.parse::<usize>().ok().filter(|number| (1..=field.most as usize).contains(number));
            let help = format!("a number from 1 to {}", field.most);
            number.ok_or_else(|| wrong(item, at, "has an invalid step", &help))?
        }
    };
    Ok((from..=until).step_by(step).fold(0, |set, value| set | 1 << value))
}

/// Parses a value of a field: a number, or a name.
fn value(text: &str, at: usize, field: &Field) -> Result<u32, CronError> {
    let named = field.names.iter().zip(field.least..).find(|(name, _)| name.eq_ignore_ascii_case(text));
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && (field.least..=field.most).contains(number));
    named.map(|(_, value)| value).or(number).ok_or_else(|| {
        let names = match field.names {
            [first, .., last] => format!(", or {first} to {last}"),
            _ => String::new(),
        };
        let help = format!("numbers from {} to {}{names}", field.least, field.most);
        wrong(text, at, &format!("is no {}", field.name), &help)
    })
}

/// Returns an error about a text at a place of the pattern.
fn wrong(text: &str, at: usize, what: &str, help: &str) -> CronError {
    CronError { at: at..at + text.len(), message: format!("`{text}` {what}"), help: help.to_owned() }
}

#[cfg(test)]
mod tests;
