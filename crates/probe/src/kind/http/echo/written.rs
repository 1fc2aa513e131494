//! A text as it is, and as URLs, JSON and HTML write it, sign by sign: writers differ in what they encode.

/// The bytes that an encoded character begins with.
const ENCODED: &[u8] = b"+%\\&";
/// The length of a percent-encoded byte, such as `%41`.
const PERCENT: usize = 3;
/// The length of an escaped unit of UTF-16, such as `\u0041`.
const ESCAPED: usize = 6;
/// Maximum length of an entity of HTML, with its `&` and its `;`.
const ENTITY_MOST: usize = 12;

/// Returns the length of `secret` at the beginning of `rest`; `None` if `rest` does not begin with it. Where several readings fit,
/// the longest one counts.
pub(super) fn length(rest: &[u8], secret: &str) -> Option<usize> {
    // Most places are ruled out by their first byte.
    let (first, own) = (rest.first()?, secret.as_bytes().first()?);
    if first != own && !ENCODED.contains(first) {
        return None;
    }
    let mut ends = vec![0];
    for c in secret.chars() {
        let mut next: Vec<usize> = ends
            .iter()
            .flat_map(|from| lengths(&rest[*from..], c).map(move |length| from + length))
            .collect();
        if next.is_empty() {
            return None;
        }
        next.sort_unstable();
        next.dedup();
        ends = next;
    }
    ends.pop()
}

/// Returns the length of each encoding of a character that `rest` begins with.
fn lengths(rest: &[u8], c: char) -> impl Iterator<Item = usize> {
    let mut buffer = [0; 4];
    let bytes = c.encode_utf8(&mut buffer).as_bytes();
    let plain = rest.starts_with(bytes).then_some(bytes.len());
    let encoded = match rest.first() {
        Some(b'+') => (c == ' ').then_some(1),
        Some(b'%') => percent(rest, bytes),
        Some(b'\\') => escaped(rest, c),
        Some(b'&') => rest
            .iter()
            .take(ENTITY_MOST)
            .position(|byte| *byte == b';')
            .filter(|end| entity(&rest[1..*end]) == Some(c))
            .map(|end| end + 1),
        _ => None,
    };
    plain.into_iter().chain(encoded)
}

/// Returns the length of percent-encoded bytes, if `rest` begins with them.
fn percent(rest: &[u8], bytes: &[u8]) -> Option<usize> {
    let is_there = |(place, byte): (usize, &u8)| {
        let at = place * PERCENT;
        rest.get(at) == Some(&b'%') && hex(rest.get(at + 1..at + PERCENT)) == Some(u32::from(*byte))
    };
    bytes.iter().enumerate().all(is_there).then_some(bytes.len() * PERCENT)
}

/// Returns the length of a character that is escaped as in JSON, if `rest` begins with it.
fn escaped(rest: &[u8], c: char) -> Option<usize> {
    if rest.get(1).is_some_and(|sign| b"\"\\/'".contains(sign) && char::from(*sign) == c) {
        return Some(2);
    }
    let mut units = [0; 2];
    let units = c.encode_utf16(&mut units);
    let is_there = |(place, unit): (usize, &u16)| {
        let at = place * ESCAPED;
        rest.get(at..at + 2) == Some(b"\\u") && hex(rest.get(at + 2..at + ESCAPED)) == Some(u32::from(*unit))
    };
    units.iter().enumerate().all(is_there).then_some(units.len() * ESCAPED)
}

/// Reads the hexadecimal digits of a number; `None` without digits.
fn hex(digits: Option<&[u8]>) -> Option<u32> {
    number(digits?, 16)
}

fn number(digits: &[u8], base: u32) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok()?;
    // `from_str_radix` takes a sign, too.
    text.chars().all(|c| c.is_digit(base)).then(|| u32::from_str_radix(text, base).ok())?
}

/// Returns the character of what stands between `&` and `;` in HTML.
fn entity(name: &[u8]) -> Option<char> {
    match name {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16).and_then(char::from_u32),
        [b'#', digits @ ..] => number(digits, 10).and_then(char::from_u32),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sign_may_be_written_in_its_own_way() {
        for text in [
            "ü %2B\u{1f600}",
            "%c3%BC+%252B%F0%9f%98%80",
            "\\u00FC %2B\\ud83d\\uDE00",
            "&#252;+&#37;2B&#x1F600;",
        ] {
            assert_eq!(length(format!("{text}!").as_bytes(), "ü %2B\u{1f600}"), Some(text.len()), "{text}");
        }
        for other in ["ü %2b", "%c3 %2B", "\\u00f %2B", "&#+252; %2B", "&#252", "", "%"] {
            assert_eq!(length(other.as_bytes(), "ü %2B"), None, "{other}");
        }
    }
}
