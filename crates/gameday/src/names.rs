//! Names of game days and roles.

use firedrill_wire::text::NAME_MOST;

/// Whether a text may be a name: lower-case letters, digits and `-`.
pub(crate) fn is_name(name: &str) -> bool {
    let well = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.starts_with(|c: char| well(c) && c != '-')
        && name.chars().all(well)
        && name.chars().count() <= NAME_MOST
}
