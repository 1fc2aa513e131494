//! Texts of charts: escaped words, attributes and coordinates.

/// Returns the attributes of an element that is drawn from one moment to another, in milliseconds on the run's clock. The page's
/// script moves the element by them.
pub(super) fn stretch(from_us: i64, until_us: i64) -> String {
    format!(" data-f=\"{}\" data-u=\"{}\"", from_us / 1000, until_us / 1000)
}

/// Formats a coordinate with at most one digit after the point.
pub(super) fn short(place: f64) -> String {
    let text = format!("{place:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// Escapes text for XML.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            control if control.is_control() => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

/// Returns a text with at most `most` letters; `…` replaces the rest.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
