//! Estimates the difference between a source's clock and ours from the header `Date` of its answers. Reads no clock.

/// Minimum uncertainty of the difference, in microseconds.
const LEAST_US: i64 = 1_000;
/// A second in microseconds. The header `Date` has whole seconds.
const SECOND_US: i64 = 1_000_000;

/// The difference between a source's clock and ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// The lower and the upper bound of source minus ours, in microseconds; `None` before the first `Date`.
    bounds: Option<(i64, i64)>,
}

impl Clock {
    /// Takes an answer into account. The answer has the `Date` `date_us`, and was made between `sent_us` and `received_us` by our clock. Each answer
    /// narrows the bounds. If an answer contradicts the earlier ones, a clock was set, so the earlier answers are dropped.
    pub fn saw(&mut self, date_us: i64, sent_us: i64, received_us: i64) {
        let new =
            (date_us.saturating_sub(received_us), date_us.saturating_add(SECOND_US).saturating_sub(sent_us));
        let both = self.bounds.map(|(low, high)| (low.max(new.0), high.min(new.1)));
        self.bounds = Some(both.filter(|(low, high)| low <= high).unwrap_or(new));
    }

    /// Whether any answer had a `Date`.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.bounds.is_some()
    }

    /// Returns source minus ours, and its uncertainty, in microseconds; `None` before the first `Date`.
    #[must_use]
    pub fn offset_us(&self) -> Option<(i64, i64)> {
        let (low, high) = self.bounds?;
        Some((i64::midpoint(low, high), ((high - low) / 2).max(LEAST_US)))
    }
}

/// Reads the value of a header `Date`, such as `Sun, 06 Nov 1994 08:49:37 GMT`, in microseconds since 1970.
#[must_use]
pub fn date_us(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: i64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = i64::try_from(MONTHS.iter().position(|month| *month == name)?).ok()? + 1;
    let year: i64 = words.next()?.parse().ok()?;
    let mut time = words.next()?.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let fits = (1970..=9999).contains(&year)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !fits || words.next() != Some("GMT") {
        return None;
    }
    // The number of days since 1970 by the usual formula, in which years begin in March so that leap days are last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * SECOND_US)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_http_writes_them() {
        assert_eq!(date_us("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000_000));
        assert_eq!(date_us("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(date_us("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000_000_000));
        for wrong in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Foo 1994 08:49:37 GMT",
        ] {
            assert_eq!(date_us(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn answers_narrow_the_bounds_and_a_clock_that_was_set_begins_anew() {
        let mut clock = Clock::default();
        assert_eq!(clock.offset_us(), None);
        // The source is 5.3 s ahead.
        clock.saw(6_000_000, 1_000_000, 1_010_000);
        let (_, first) = clock.offset_us().expect("seen");
        assert!(first >= 500_000, "one Date is precise to a second: {first}");
        clock.saw(6_000_000, 1_690_000, 1_695_000);
        clock.saw(7_000_000, 1_705_000, 1_710_000);
        let (offset, unsure) = clock.offset_us().expect("seen");
        assert!((offset - 5_300_000).abs() <= unsure && unsure < 20_000, "{offset} ± {unsure}");
        clock.saw(60_000_000, 2_000_000, 2_010_000);
        let (offset, unsure) = clock.offset_us().expect("seen");
        assert!((57_900_000..=59_100_000).contains(&offset) && unsure > 400_000, "{offset} ± {unsure}");
    }
}
