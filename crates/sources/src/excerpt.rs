//! Texts of sources in messages.

/// Returns the beginning of a text of a source, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    firedrill_wire::text::clean(text.trim(), 200).into_owned()
}
