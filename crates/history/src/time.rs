//! Times as people and files write them: RFC 3339, UTC.

use std::time::{Duration, UNIX_EPOCH};

/// Returns a time in seconds since 1970; 0 where the text is no time.
pub(crate) fn seconds(time: &str) -> i64 {
    let since =
        humantime::parse_rfc3339_weak(time).ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or(0)
}

/// Returns a time as text.
pub(crate) fn moment(at_s: i64) -> String {
    // 9999-12-31T23:59:59Z: later times cannot be written.
    const LAST: u64 = 253_402_300_799;
    let since = Duration::from_secs(u64::try_from(at_s).unwrap_or(0).min(LAST));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

/// `2026-11-20`.
pub(crate) fn day(at_s: i64) -> String {
    moment(at_s).get(..10).unwrap_or_default().to_owned()
}

/// `2026-11-20 14:02`.
pub(crate) fn minute(at_s: i64) -> String {
    moment(at_s).get(..16).unwrap_or_default().replace('T', " ")
}
