//! Shortens texts of sources for messages.

/// Returns the beginning of a text of a source, cleaned for a message: at most 200 characters.
pub(crate) fn excerpt(text: &str) -> String {
    firedrill_wire::text::clean(text.trim(), 200).into_owned()
}
