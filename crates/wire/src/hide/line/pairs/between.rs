//! Reads the text between a name and its value, and finds the beginning of the value.

use super::{Pairs, is_space};
use crate::hide::value::{QUOTES, backslashes, begins_field, is_end};

/// Maximum length of the beginning of a value that decides whether it is a secret.
const LOOK: usize = 128;

/// Signs between a name and its value, longer ones first.
const SIGNS: [&[u8]; 17] = [
    b"===", b"!==", b"::=", b"==", b"!=", b"+=", b"?=", b"~=", b":=", b"=>", b"->", b"<>", b"=~", b">>",
    b"=", b":", b"|",
];

/// The text between a name and its value.
pub(super) struct Between {
    /// The place at which the value begins.
    pub(super) to: usize,
    pub(super) sign: &'static [u8],
    /// Number of times that the sign was encoded.
    pub(super) level: u8,
    /// Whether a quotation mark closes the name.
    pub(super) closed: bool,
    /// Whether spaces follow the sign.
    pub(super) spaced: bool,
}

impl Pairs<'_, '_> {
    /// Reads the text between a name and its value; `None` if there is no sign.
    pub(super) fn between(&self, end: usize) -> Option<Between> {
        let bytes = &self.text.bytes;
        let mut at = end;
        let mut closed = false;
        while at < bytes.len() {
            let slashes = backslashes(&bytes[at..]);
            let Some(byte) = bytes.get(at + slashes) else { break };
            if QUOTES.contains(byte) {
                closed = true;
            } else if slashes > 0 || !b"])".contains(byte) {
                break;
            }
            at += slashes + 1;
        }
        let skip = |at: usize| at + bytes[at..].iter().take_while(|byte| is_space(**byte)).count();
        let place = skip(at);
        if let Some(sign) = SIGNS.iter().find(|sign| bytes[place..].starts_with(sign)) {
            let after = place + sign.len();
            let next = bytes.get(after);
            // `|` counts only between columns of a table.
            if *sign == b"|" && !next.is_some_and(u8::is_ascii_whitespace) {
                return None;
            }
            // `Token::new`, `https://`
            if *sign == b":" && (next == Some(&b':') || bytes[after..].starts_with(b"//")) {
                return None;
            }
            let mut to = skip(after);
            // `[]string{"x"}` of Go
            if bytes[to..].starts_with(b"[]") {
                to += 2 + bytes[to + 2..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            }
            return Some(Between { to, sign, level: self.text.level[place], closed, spaced: to > after });
        }
        // `("name", "value")`
        if closed && bytes.get(place) == Some(&b',') {
            let to = skip(place + 1);
            let slashes = backslashes(&bytes[to..]);
            let mark = bytes.get(to + slashes).is_some_and(|byte| QUOTES.contains(byte));
            return mark.then_some(Between {
                to,
                sign: b",",
                level: self.text.level[place],
                closed,
                spaced: false,
            });
        }
        None
    }

    /// Returns the range of the beginning of a value, without quotation marks, counted from `at`.
    pub(super) fn look(&self, at: usize) -> (usize, usize) {
        let bytes = &self.text.bytes[at..];
        let bytes = &bytes[..bytes.len().min(LOOK)];
        let slashes = backslashes(bytes);
        let mark = bytes.get(slashes).copied().filter(|byte| QUOTES.contains(byte));
        let start = if mark.is_some() { slashes + 1 } else { 0 };
        let ends = |byte: &u8| match mark {
            Some(mark) => *byte == mark || *byte == b'\\',
            None => is_space(*byte) || b",;&\"'`)]}\\".contains(byte),
        };
        let length = bytes[start..].iter().position(ends);
        let mut length = length.unwrap_or(bytes.len() - start);
        // A value in brackets, such as `(null)`.
        if mark.is_none()
            && start == 0
            && bytes.first().is_some_and(|byte| b"([{".contains(byte))
            && bytes.get(length).is_some_and(|byte| b")]}".contains(byte))
        {
            length += 1;
        }
        // A full stop or a colon at the end belongs to the sentence.
        if mark.is_none() && length > 1 && b".:".contains(&bytes[length - 1]) {
            length -= 1;
        }
        (start, start + length)
    }

    /// Whether the beginning of a value that [`Self::look`] found is all of it.
    pub(super) fn is_whole(&self, at: usize, (from, to): (usize, usize)) -> bool {
        let bytes = &self.text.bytes;
        let end = at + to;
        if from > 0 {
            let (slashes, mark) = (backslashes(&bytes[end..]), bytes[at + from - 1]);
            let next = bytes.get(end + slashes + 1);
            let same_level = self.text.level.get(end + slashes) == Some(&self.text.level[at + from - 1]);
            let closes = same_level
                && bytes.get(end + slashes) == Some(&mark)
                && slashes < from.max(2)
                && (from > 1 || slashes == 0);
            return closes && is_end(next) && (from > 1 || next != Some(&mark));
        }
        let end = end + usize::from(bytes.get(end).is_some_and(|byte| b".:".contains(byte)));
        let Some(byte) = bytes.get(end) else { return true };
        match byte {
            // An encoded byte may be part of the value.
            _ if self.text.level[end] > 0 => false,
            _ if byte.is_ascii_whitespace() => true,
            b',' | b';' | b'&' => begins_field(&bytes[end + 1..]),
            b'\\' => {
                let rest = &bytes[end + backslashes(&bytes[end..])..];
                rest.first().is_some_and(|byte| QUOTES.contains(byte))
            }
            _ if is_space(*byte) => begins_field(&bytes[end + 1..]),
            _ => is_end(bytes.get(end + 1)) && self.text.closes(*byte, at),
        }
    }

    /// Whether the text in marks at a place is another name.
    pub(super) fn is_field(&self, at: usize) -> bool {
        let bytes = &self.text.bytes[at..];
        let open = backslashes(bytes) + 1;
        let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.- ".contains(byte);
        let end = open + bytes[open.min(bytes.len())..].iter().take_while(|byte| of_name(byte)).count();
        let Some(rest) = bytes.get(end..) else { return false };
        let slashes = backslashes(rest);
        let mark = rest.get(slashes).is_some_and(|byte| QUOTES.contains(byte));
        let rest = rest.get(slashes + 1..).unwrap_or_default();
        let next = rest.iter().find(|byte| !is_space(**byte));
        mark && next.is_some_and(|byte| b":=".contains(byte))
    }
}
