//! Formats figures for people: shares, times, lists. Rounding never hides a failure: only a share of exactly 1 is
//! shown as `100 %`.

use firedrill_wire::exchange::Exchanged;

/// Formats a share between 0 and 1 as per cent, with enough decimals that it does not look like 0 or 100 %.
#[must_use]
pub fn percent(share: f64) -> String {
    let value = share * 100.0;
    if !value.is_finite() {
        return "—".to_owned();
    }
    for decimals in 1..=4_usize {
        let text = format!("{value:.decimals$}");
        let looks_whole = text.parse::<f64>().is_ok_and(|shown| shown <= 0.0 || shown >= 100.0);
        if !looks_whole || value <= 0.0 || value >= 100.0 {
            let text = text.trim_end_matches('0').trim_end_matches('.');
            return format!("{text} %");
        }
    }
    if value > 50.0 { "just under 100 %".to_owned() } else { "just over 0 %".to_owned() }
}

/// Formats a share as a lower bound: rounded down, so that it is never more than the share. Otherwise as [`percent`].
#[must_use]
pub fn percent_down(share: f64) -> String {
    for decimals in 1..=4 {
        let steps = 100.0 * 10_f64.powi(decimals);
        // The margin covers rounding errors of a whole number of steps.
        let down = (share * steps + 1e-9).floor() / steps;
        if down > 0.0 {
            return percent(down);
        }
    }
    percent(share)
}

/// Formats a duration in microseconds.
#[must_use]
pub fn time(us: i64) -> String {
    let size = us.unsigned_abs();
    let sign = if us < 0 { "−" } else { "" };
    let seconds = size as f64 / 1e6;
    match size {
        0 => "0 s".to_owned(),
        1..1_000 => format!("{sign}{size} µs"),
        1_000..10_000 => format!("{sign}{:.1} ms", size as f64 / 1e3),
        10_000..999_500 => format!("{sign}{:.0} ms", size as f64 / 1e3),
        999_500..59_950_000 if size.is_multiple_of(1_000_000) => format!("{sign}{seconds:.0} s"),
        999_500..59_950_000 => format!("{sign}{seconds:.1} s"),
        _ => {
            let whole = size.saturating_add(500_000) / 1_000_000;
            let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
            match (hours, seconds) {
                (0, 0) => format!("{sign}{minutes} min"),
                (0, _) => format!("{sign}{minutes} min {seconds} s"),
                _ => format!("{sign}{hours} h {minutes} min"),
            }
        }
    }
}

/// Formats an unsigned duration in microseconds.
#[must_use]
pub fn micros(us: u64) -> String {
    time(i64::try_from(us).unwrap_or(i64::MAX))
}

/// Formats a long stretch of time in microseconds, in whole days where it has such: `30 days`.
#[must_use]
pub fn window(us: u64) -> String {
    const DAY: u64 = 86_400_000_000;
    match us / DAY {
        0 => micros(us),
        _ if !us.is_multiple_of(DAY) => micros(us),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// Formats a time on the run's clock as `mm:ss.t` or `h:mm:ss.t`.
#[must_use]
pub fn clock(us: i64) -> String {
    let tenths = us.unsigned_abs() / 100_000;
    let sign = if us < 0 { "−" } else { "" };
    let (hours, minutes, seconds) = (tenths / 36_000, tenths / 600 % 60, tenths / 10 % 60);
    match hours {
        0 => format!("{sign}{minutes:02}:{seconds:02}.{}", tenths % 10),
        _ => format!("{sign}{hours}:{minutes:02}:{seconds:02}.{}", tenths % 10),
    }
}

/// Formats an exchange of packets: `5 of 5 answered, 0.3 ms`.
#[must_use]
pub fn exchanged(met: &Exchanged) -> String {
    let mut text = match met.refused {
        0 => format!("{} of {} answered", met.answered, met.sent),
        refused if met.answered == 0 => format!("{refused} of {} refused", met.sent),
        refused => format!("{} of {} answered, {refused} refused", met.answered, met.sent),
    };
    if let Some(median) = met.median_us() {
        text.push_str(&format!(", {}", micros(median)));
    }
    if let Some(why) = &met.why {
        text.push_str(&format!(", {} not sent ({why})", met.failed));
    }
    text
}

/// Formats a list: `a`, `a and b`, `a, b and c`; a long list ends in `and 7 more`.
#[must_use]
pub fn list<S: AsRef<str>>(items: &[S]) -> String {
    let shown = if items.len() > 4 { 3 } else { items.len() };
    let mut words: Vec<String> = items.iter().take(shown).map(|item| item.as_ref().to_owned()).collect();
    if items.len() > shown {
        words.push(format!("{} more", items.len() - shown));
    }
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// Formats a number for the beginning of a sentence; small numbers are spelled out.
#[must_use]
pub fn number(count: usize) -> String {
    const WORDS: [&str; 13] = [
        "none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
        "twelve",
    ];
    WORDS.get(count).map_or_else(|| count.to_string(), |word| (*word).to_owned())
}

/// Formats a number for people, with four to seven significant digits.
#[must_use]
pub fn value(value: f64) -> String {
    let size = value.abs();
    if size >= f64::MAX {
        return if value > 0.0 { "infinite".to_owned() } else { "−infinite".to_owned() };
    }
    let text = match size {
        0.0 => return "0".to_owned(),
        size if !(1e-4..1e7).contains(&size) => return format!("{value:.3e}"),
        size if size >= 1000.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.3}"),
        _ => format!("{value:.6}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Returns the text with its first letter in upper case.
#[must_use]
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_rounded_to_all_or_nothing() {
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.991), "99.1 %");
        assert_eq!(percent(0.99999), "99.999 %");
        assert_eq!(percent(0.999_999_999), "just under 100 %");
        assert_eq!(percent(0.000_02), "0.002 %");
    }

    #[test]
    fn a_lower_bound_is_rounded_down() {
        let shares = [0.0996, 0.09999, 0.29, 0.1 + 0.2, 0.000_16, 1e-9, 1.2, 1.23456];
        let texts = ["9.9 %", "9.9 %", "29 %", "30 %", "0.01 %", "just over 0 %", "120 %", "123.4 %"];
        assert_eq!(shares.map(percent_down), texts);
    }

    #[test]
    fn values_have_the_digits_that_they_need() {
        let texts = [0.0, 0.5, 1.0, 12.345_678, 1234.56, 1e9, 0.000_012, f64::MAX].map(value);
        assert_eq!(texts, ["0", "0.5", "1", "12.346", "1234.6", "1.000e9", "1.200e-5", "infinite"]);
    }

    #[test]
    fn times_have_their_unit() {
        assert_eq!(
            [0, 850, 4_230, 850_000, 4_230_000, 200_000_000, -1_500_000].map(time),
            ["0 s", "850 µs", "4.2 ms", "850 ms", "4.2 s", "3 min 20 s", "−1.5 s"]
        );
        assert_eq!(clock(75_260_000), "01:15.2");
        assert_eq!(list(&["a", "b", "c", "d", "e"]), "a, b, c and 2 more");
    }
}
