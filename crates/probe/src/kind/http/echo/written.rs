//! A text as it is, and as URLs, JSON and HTML write it, sign by sign: writers differ in what they encode.

/// Returns the length of the beginning of `rest` that says `secret`, if it begins with that. The longest one, where it is written in
/// several ways.
pub(super) fn length(rest: &[u8], secret: &str) -> Option<usize> {
    let mut ends = vec![0];
    for c in secret.chars() {
        let mut next: Vec<usize> = Vec::new();
        for from in ends {
            each_length(rest.get(from..).unwrap_or_default(), c, &mut |length| next.push(from + length));
        }
        if next.is_empty() {
            return None;
        }
        next.sort_unstable();
        next.dedup();
        ends = next;
    }
    ends.pop()
}

/// Tells the length of every way in which `rest` may begin with a character.
fn each_length(rest: &[u8], c: char, tell: &mut dyn FnMut(usize)) {
    let mut buffer = [0; 4];
    let bytes = c.encode_utf8(&mut buffer).as_bytes();
    if rest.starts_with(bytes) {
        tell(bytes.len());
    }
    match rest.first() {
        Some(b'+') if c == ' ' => tell(1),
        Some(b'%') => {
            let said = |(place, byte): (usize, &u8)| {
                let at = place * 3;
                rest.get(at) == Some(&b'%') && hex(rest.get(at + 1..at + 3)) == Some(u32::from(*byte))
            };
            if bytes.iter().enumerate().all(said) {
                tell(bytes.len() * 3);
            }
        }
        Some(b'\\') => {
            let escaped = rest.get(1).copied();
            if escaped.is_some_and(|sign| b"\"\\/'".contains(&sign) && char::from(sign) == c) {
                tell(2);
            }
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units);
            let said = |(place, unit): (usize, &u16)| {
                let at = place * 6;
                rest.get(at..at + 2) == Some(b"\\u")
                    && hex(rest.get(at + 2..at + 6)) == Some(u32::from(*unit))
            };
            if units.iter().enumerate().all(said) {
                tell(units.len() * 6);
            }
        }
        Some(b'&') => {
            if let Some(end) = rest.iter().take(12).position(|byte| *byte == b';')
                && entity(&rest[1..end]) == Some(c)
            {
                tell(end + 1);
            }
        }
        _ => {}
    }
}

/// Reads digits of a number of that base, of which there must be some.
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
