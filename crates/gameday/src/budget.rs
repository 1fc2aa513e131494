//! The budget of a game day that draws its drills at random (`[monkey]`): the maximum number of drills in a day, a week or a month.

use std::fmt;

use jiff::{Timestamp, ToSpan as _, Zoned, civil::Date};

/// The period for which drills are counted, in the civil time of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Period {
    Day,
    /// From Monday to Sunday.
    Week,
    Month,
}

/// The maximum number of drills in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    count: usize,
    period: Period,
}

/// A drill that began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The slot, or the name of a start by hand.
    pub slot: String,
    /// The moment at which it began.
    pub at: Timestamp,
}

impl Budget {
    /// Parses texts such as `1 a day`, `2 a week` and `3 a month`; `None` for any other form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let count = words.next().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()))?;
        let count = count.parse().ok().filter(|count| *count > 0)?;
        let period = match (words.next()?, words.next()?, words.next()) {
            ("a", "day", None) => Period::Day,
            ("a", "week", None) => Period::Week,
            ("a", "month", None) => Period::Month,
            _ => return None,
        };
        Some(Self { count, period })
    }

    /// Returns the reason why no further drill may begin at a moment; `None` if one may begin. `begun` has all drills so far, not only those of
    /// the current period.
    #[must_use]
    pub fn used_up(self, at: &Zoned, begun: &[Beginning]) -> Option<String> {
        let first = self.first_day(at.date());
        let mut within: Vec<&Beginning> = begun
            .iter()
            .filter(|drill| self.first_day(drill.at.to_zoned(at.time_zone().clone()).date()) == first)
            .collect();
        if within.len() < self.count {
            return None;
        }
        within.sort_by_key(|drill| drill.at);
        let slots: Vec<&str> = within.iter().map(|drill| drill.slot.as_str()).collect();
        Some(format!("the budget of {self} is used up by {}", slots.join(", ")))
    }

    /// Returns the first day of the period to which a day belongs.
    fn first_day(self, day: Date) -> Date {
        match self.period {
            Period::Day => day,
            Period::Week => {
                let days_since_monday = i64::from(day.weekday().to_monday_zero_offset());
                day.checked_sub(days_since_monday.days()).unwrap_or(day)
            }
            Period::Month => day.first_of_month(),
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let period = match self.period {
            Period::Day => "day",
            Period::Week => "week",
            Period::Month => "month",
        };
        write!(f, "{} a {period}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::times::{zone, zones};

    fn at(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    fn begun(moments: &[&str]) -> Vec<Beginning> {
        moments.iter().map(|text| Beginning { slot: (*text).to_owned(), at: at(text).timestamp() }).collect()
    }

    #[test]
    fn budgets_are_written_in_one_way() {
        for text in ["1 a day", "2 a week", "30 a month"] {
            assert_eq!(Budget::parse(text).unwrap().to_string(), text);
        }
        for wrong in
            ["0 a day", "a day", "1 per day", "1 a year", "-1 a day", "+1 a day", "1 a day ", "1  a day", ""]
        {
            assert_eq!(Budget::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn periods_are_those_of_the_schedules_zone() {
        let used = |budget: &str, now: &str, begun_at: &[&str]| {
            Budget::parse(budget).unwrap().used_up(&at(now), &begun(begun_at))
        };
        // 23:30 in Berlin is another day than 00:10, and the same day as 22:30 UTC.
        let late = "2026-12-03T23:30:00+01:00[Europe/Berlin]";
        let night = "2026-12-04T00:10:00+01:00[Europe/Berlin]";
        assert_eq!(used("1 a day", night, &[late]), None);
        let utc = "2026-12-03T22:30:00+00:00[UTC]";
        let told = "the budget of 1 a day is used up by 2026-12-03T22:30:00+00:00[UTC]";
        assert_eq!(used("1 a day", late, &[utc]).as_deref(), Some(told));
        // Sunday and Monday are in two weeks; the last of November and the first of December in one.
        let (sunday, monday) = ("2026-11-29T12:00:00+00:00[UTC]", "2026-11-30T12:00:00+00:00[UTC]");
        let tuesday = "2026-12-01T12:00:00+00:00[UTC]";
        assert_eq!(used("1 a week", monday, &[sunday]), None);
        assert!(used("1 a week", tuesday, &[monday]).is_some());
        assert!(used("1 a month", monday, &[sunday]).is_some());
        assert_eq!(used("1 a month", tuesday, &[sunday, monday]), None);
        assert_eq!(used("2 a month", monday, &[sunday]), None);
        assert!(used("2 a month", monday, &[sunday, monday]).is_some());
    }

    proptest! {
        /// If the budget is asked before each start, no period has more drills than it allows, in any time zone and order.
        #[test]
        fn no_period_has_more_than_its_budget(
            hours in prop::collection::vec(0_i64..24 * 70, 1..80), count in 1_usize..4, period in 0_usize..3, berlin: bool,
        ) {
            let period = [Period::Day, Period::Week, Period::Month][period];
            let budget = Budget { count, period };
            let name = if berlin { "Europe/Berlin" } else { "Australia/Lord_Howe" };
            let zone = zone(name, &zones()).unwrap();
            let from = date(2027, 3, 1).at(0, 0, 0, 0).to_zoned(zone).unwrap();
            let mut drills: Vec<Beginning> = Vec::new();
            for (number, hour) in hours.into_iter().enumerate() {
                let now = from.checked_add(hour.hours()).unwrap();
                if budget.used_up(&now, &drills).is_none() {
                    drills.push(Beginning { slot: number.to_string(), at: now.timestamp() });
                }
            }
            let first_day =
                |drill: &Beginning| budget.first_day(drill.at.to_zoned(from.time_zone().clone()).date());
            for drill in &drills {
                let in_period = drills.iter().filter(|other| first_day(other) == first_day(drill));
                prop_assert!(in_period.count() <= count);
            }
            // Nothing is refused as long as there is room.
            prop_assert!(!drills.is_empty());
        }
    }
}
