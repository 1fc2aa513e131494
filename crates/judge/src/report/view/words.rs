//! Words that several parts of a report share.

use firedrill_wire::evidence::Seen;

use crate::score::format;

/// Stands where there is no figure.
pub(super) const NONE: &str = "—";

/// Formats the time until requests were good again.
pub(super) fn took(us: i64) -> String {
    if us == 0 { "stayed good".to_owned() } else { format::time(us) }
}

/// Says whether something was seen.
pub(super) const fn seen(seen: Seen) -> &'static str {
    match seen {
        Seen::Yes => "yes",
        Seen::No => "no",
        Seen::Unknown => "not known",
    }
}
