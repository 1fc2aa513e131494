//! Shortens texts of sources for messages.

/// Maximum length of a source's text in a message, in characters.
const MOST: usize = 200;

/// Returns the beginning of a text of a source, cleaned for a message.
pub(crate) fn excerpt(text: &str) -> String {
    firedrill_wire::text::clean(text.trim(), MOST).into_owned()
}
