//! The wall clock, in the forms that the control room writes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns the seconds since 1970.
pub(crate) fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Returns the time as RFC 3339, UTC, with milliseconds.
pub(crate) fn stamp() -> String {
    humantime::format_rfc3339_millis(SystemTime::now().max(UNIX_EPOCH)).to_string()
}

/// Returns a length of time for people, in its two largest units: `11h 58m`.
pub(crate) fn length(seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    // Below a minute seconds count, above it they do not.
    let shown = if seconds < 60 { seconds } else { seconds - seconds % 60 };
    humantime::format_duration(Duration::from_secs(shown)).to_string()
}
