//! Rules by which a game day repeats: a cron expression, equal steps, or one time. Computes civil times only: it uses no time zone and reads no
//! clock.

use std::fmt;

use jiff::{
    Span,
    civil::{Date, DateTime, Time},
};

use crate::{cron::Cron, times::clock};

/// A pattern of civil times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Times that match a cron expression.
    Cron(Cron),
    /// Times in equal steps.
    Every(Every),
    /// One time.
    Once(DateTime),
}

/// Days in equal steps, counted from the day `anchor`, each at the time of day `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Every {
    pub(crate) step: Step,
    pub(crate) anchor: Date,
    pub(crate) at: Time,
}

/// A number of days, weeks or months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Days(i32),
    Weeks(i32),
    Months(i32),
}

/// Maximum number of units in a step.
const MAX_UNITS: i32 = 1000;

impl Step {
    /// Parses a step such as `2 weeks`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (number, unit) = text.split_once(' ')?;
        // `parse` alone would accept `+1`.
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = number.parse().ok().filter(|number| (1..=MAX_UNITS).contains(number))?;
        match unit {
            "day" | "days" => Some(Self::Days(number)),
            "week" | "weeks" => Some(Self::Weeks(number)),
            "month" | "months" => Some(Self::Months(number)),
            _ => None,
        }
    }

    /// Returns the maximum length of the step in days.
    const fn max_days(self) -> i32 {
        match self {
            Self::Days(number) => number,
            Self::Weeks(number) => number * 7,
            Self::Months(number) => number * 31,
        }
    }

    /// Returns the date that is `count` steps after the date `from`; `None` if it is out of range.
    fn after(self, from: Date, count: i32) -> Option<Date> {
        let units = |number: i32| i64::from(number) * i64::from(count);
        let span = match self {
            Self::Days(number) => Span::new().try_days(units(number)),
            Self::Weeks(number) => Span::new().try_weeks(units(number)),
            Self::Months(number) => Span::new().try_months(units(number)),
        };
        from.checked_add(span.ok()?).ok()
    }
}

impl Every {
    /// Returns all times at or after a moment, in ascending order.
    fn starting_at(self, from: DateTime) -> impl Iterator<Item = DateTime> {
        let days = from.date().since(self.anchor).map_or(0, |span| span.get_days());
        // No step is longer than `max_days`, so this many steps never lead beyond `from`.
        let first = (days / self.step.max_days()).max(0);
        let dates = (first..).map_while(move |count| self.step.after(self.anchor, count));
        dates.map(move |day| day.to_datetime(self.at)).skip_while(move |time| *time < from)
    }
}

impl Pattern {
    /// Returns all times at or after a moment, in ascending order.
    pub(crate) fn starting_at(&self, from: DateTime) -> Box<dyn Iterator<Item = DateTime> + '_> {
        match self {
            Self::Cron(cron) => Box::new(cron.starting_at(from)),
            Self::Every(every) => Box::new(every.starting_at(from)),
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
                let at = clock(every.anchor.to_datetime(every.at));
                match number {
                    1 => write!(f, "every {unit} at {at}, from {}", every.anchor),
                    _ => write!(f, "every {number} {unit}s at {at}, from {}", every.anchor),
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

    fn every(step: &str, anchor: &str, from: &str, count: usize) -> Vec<String> {
        let every = Every {
            step: Step::parse(step).unwrap(),
            anchor: date(anchor).unwrap(),
            at: time("14:00").unwrap(),
        };
        Pattern::Every(every).starting_at(moment(from).unwrap()).take(count).map(written).collect()
    }

    #[test]
    fn steps_are_counted_from_the_anchor() {
        assert_eq!(
            every("2 weeks", "2026-10-09", "2026-01-01T00:00", 2),
            ["2026-10-09T14:00", "2026-10-23T14:00"]
        );
        assert_eq!(every("2 weeks", "2026-10-09", "2036-10-09T14:01", 1), ["2036-10-10T14:00"]);
        assert_eq!(every("10 days", "2026-10-09", "2026-10-19T14:00", 1), ["2026-10-19T14:00"]);
        // Each date is counted from the anchor: a short month gives its last day, and later months have the anchor's day again.
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
