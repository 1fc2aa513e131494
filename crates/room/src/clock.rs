//! The wall clock, in the forms that the control room writes.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the seconds since 1970.
pub(crate) fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Returns the time as RFC 3339, UTC, with milliseconds.
pub(crate) fn stamp() -> String {
    humantime::format_rfc3339_millis(SystemTime::now().max(UNIX_EPOCH)).to_string()
}
