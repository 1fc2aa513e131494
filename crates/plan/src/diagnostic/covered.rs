//! Covers secrets in a text without moving anything in it.

use std::ops::Range;

use firedrill_wire::hide::HIDDEN;

/// Returns a text in which the bytes of these places, and the secrets anywhere, are covered by `*`. Quotes and line breaks
/// stay, and so does the position of each byte.
pub(crate) fn covered(text: &str, places: &[Range<usize>], secrets: &[String]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let found = secrets
        .iter()
        .flat_map(|secret| text.match_indices(secret.as_str()).map(|(at, found)| at..at + found.len()));
    for at in places.iter().cloned().chain(found) {
        let at = text.floor_char_boundary(at.start)..text.ceil_char_boundary(at.end.min(text.len()));
        for byte in bytes.get_mut(at).into_iter().flatten().filter(|byte| !b"\r\n\"'".contains(byte)) {
            *byte = b'*';
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| HIDDEN.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covering_moves_nothing() {
        assert_eq!(covered("a = \"üx\"\nb", &[4..7, 7..8], &[]), "a = \"***\"\nb");
        assert_eq!(covered("k = 'S3CR' # S3CR", &[], &["S3CR".to_owned()]), "k = '****' # ****");
        assert_eq!(covered("short", &[3..4, 4..99], &[]), "sho**");
    }
}
