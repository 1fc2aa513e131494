//! Words that several parts of a report share.

use firedrill_wire::evidence::Seen;

use crate::score::format;

/// The text in place of a missing figure.
pub(super) const NONE: &str = "—";

/// Formats the time until requests were good again, in microseconds.
pub(super) fn took(us: i64) -> String {
    if us == 0 { "stayed good".to_owned() } else { format::time(us) }
}

/// Returns the word for an observation.
pub(super) const fn seen(seen: Seen) -> &'static str {
    match seen {
        Seen::Yes => "yes",
        Seen::No => "no",
        Seen::Unknown => "not known",
    }
}
