//! Patterns of civil times at which something is due, without a zone.

use std::fmt;

use jiff::{
    ToSpan as _,
    civil::{Date, DateTime, Time},
};

use crate::{cron::Cron, times::clock};

/// A pattern of civil times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Times by cron's fields.
    Cron(Cron),
    /// Times in equal steps of civil time, counted from a day.
    Every(Every),
    /// One time.
    Once(DateTime),
}

/// Times in equal steps of civil time, counted from a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Every {
    pub(crate) step: Step,
    pub(crate) from: Date,
    pub(crate) at: Time,
}

/// A number of days or months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Days(i32),
    Weeks(i32),
    Months(i32),
}

/// Maximum number of units in a step.
const MOST: i32 = 1000;

impl Step {
    /// Parses `2 weeks`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (number, unit) = text.split_once(' ')?;
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse().ok().filter(|number| digits && (1..=MOST).contains(number))?;
        match unit {
            "day" | "days" => Some(Self::Days(number)),
            "week" | "weeks" => Some(Self::Weeks(number)),
            "month" | "months" => Some(Self::Months(number)),
            _ => None,
        }
    }

    /// Returns the minimum length of the step in days: a month has 28 days or more.
    const fn days(self) -> i32 {
        match self {
            Self::Days(number) => number,
            Self::Weeks(number) => number * 7,
            Self::Months(number) => number * 28,
        }
    }

    fn after(self, from: Date, times: i32) -> Option<Date> {
        let span = match self {
            Self::Days(number) => 0.days().try_days(i64::from(number) * i64::from(times)),
            Self::Weeks(number) => 0.days().try_weeks(i64::from(number) * i64::from(times)),
            Self::Months(number) => 0.days().try_months(i64::from(number) * i64::from(times)),
        };
        from.checked_add(span.ok()?).ok()
    }
}

impl Every {
    /// Returns the times from a moment on, rising.
    fn from(self, from: DateTime) -> impl Iterator<Item = DateTime> {
        let days = from.date().since(self.from).map_or(0, |span| span.get_days());
        // Months are longer than their shortest length, so the estimate for them begins earlier.
        let passed = match self.step {
            Step::Months(number) => days / (number * 31) - 1,
            step => days / step.days() - 1,
        };
        let all = (passed.max(0)..).map_while(move |times| self.step.after(self.from, times));
        all.map(move |day| day.to_datetime(self.at)).skip_while(move |time| *time < from)
    }
}

impl Pattern {
    /// Returns the times from a moment on, rising.
    pub(crate) fn from(&self, from: DateTime) -> Box<dyn Iterator<Item = DateTime> + '_> {
        match self {
            Self::Cron(cron) => Box::new(cron.from(from)),
            Self::Every(every) => Box::new(every.from(from)),
            Self::Once(at) => Box::new(std::iter::once(*at).filter(move |at| *at >= from)),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(cron) => write!(f, "cron `{}`", cron.text()),
            Self::Every(every) => {
                let (number, unit) = match every.step {
                    Step::Days(number) => (number, "day"),
                    Step::Weeks(number) => (number, "week"),
                    Step::Months(number) => (number, "month"),
                };
                let at = clock(every.from.to_datetime(every.at));
                match number {
                    1 => write!(f, "every {unit} at {at}, from {}", every.from),
                    _ => write!(f, "every {number} {unit}s at {at}, from {}", every.from),
                }
            }
            Self::Once(at) => write!(f, "once, on {} at {}", at.date(), clock(*at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::times::{date, moment, time, written};

    fn every(step: &str, from: &str, after: &str, count: usize) -> Vec<String> {
        let every =
            Every { step: Step::parse(step).unwrap(), from: date(from).unwrap(), at: time("14:00").unwrap() };
        Pattern::Every(every).from(moment(after).unwrap()).take(count).map(written).collect()
    }

    #[test]
    fn steps_are_counted_from_the_anchor() {
        assert_eq!(
            every("2 weeks", "2026-10-09", "2026-01-01T00:00", 2),
            ["2026-10-09T14:00", "2026-10-23T14:00"]
        );
        assert_eq!(every("2 weeks", "2026-10-09", "2036-10-09T14:01", 1), ["2036-10-10T14:00"]);
        assert_eq!(every("10 days", "2026-10-09", "2026-10-19T14:00", 1), ["2026-10-19T14:00"]);
        // The anchor's day, or the last of a shorter month; never moved for good.
        assert_eq!(
            every("1 month", "2026-12-31", "2027-02-01T00:00", 3),
            ["2027-02-28T14:00", "2027-03-31T14:00", "2027-04-30T14:00"]
        );
        assert_eq!(every("3 months", "2026-12-31", "2096-12-31T14:01", 1), ["2097-03-31T14:00"]);
    }

    #[test]
    fn other_steps_are_refused() {
        for wrong in [
            "2",
            "weeks",
            "0 weeks",
            "-1 days",
            "+1 days",
            "1001 days",
            "2  weeks",
            "2 hours",
            "1.5 days",
            "",
        ] {
            assert_eq!(Step::parse(wrong), None, "{wrong}");
        }
    }
}
