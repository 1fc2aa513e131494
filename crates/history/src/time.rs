//! Parses and formats times: RFC 3339, UTC.

use std::time::{Duration, UNIX_EPOCH};

/// Parses a time into seconds since 1970; `None` if the text is no time, or a time before 1970.
pub(crate) fn parsed(time: &str) -> Option<i64> {
    let since = humantime::parse_rfc3339_weak(time).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// Parses a time into seconds since 1970; 0 if the text is no time, or a time before 1970.
pub(crate) fn seconds(time: &str) -> i64 {
    parsed(time).unwrap_or(0)
}

/// Returns a time as RFC 3339, UTC.
#[must_use]
pub fn moment(at_s: i64) -> String {
    // 9999-12-31T23:59:59Z; `humantime` panics for later times.
    const LAST: u64 = 253_402_300_799;
    let since = Duration::from_secs(u64::try_from(at_s).unwrap_or(0).min(LAST));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

/// Formats the day of a time, such as `2026-11-20`.
pub(crate) fn day(at_s: i64) -> String {
    moment(at_s).get(..10).unwrap_or_default().to_owned()
}

/// Formats a time for people, in UTC, such as `2026-11-20 14:02`.
#[must_use]
pub fn minute(at_s: i64) -> String {
    moment(at_s).get(..16).unwrap_or_default().replace('T', " ")
}
