//! Finds the end of a value in a line of unknown format. In doubt the value ends at the end of the line.

use super::line::text::{Text, is_soft, is_space};

/// The place of a value: the byte range that is hidden, and the end of the marks around it, which are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The place after its closing mark, at which reading continues.
    pub(super) after: usize,
}

/// Opening brackets.
const OPENERS: &[u8] = b"([{<";
/// Closing brackets.
pub(super) const CLOSERS: &[u8] = b")]}>";
/// Quotation marks.
pub(super) const QUOTES: &[u8] = b"\"'`";

/// Returns the value at a place of a text; `None` if there is none. A byte that was encoded more often than `level` times is part of the
/// value, and no separator of fields.
pub(super) fn value(text: &Text, at: usize, level: u8) -> Option<Value> {
    let part = Part { text, at, bytes: &text.bytes[at..], levels: &text.level[at..], level };
    let found = part.quoted().or_else(|| part.wrapped()).unwrap_or_else(|| part.bare());
    let found = Value { start: at + found.start, end: at + found.end, after: at + found.after };
    (found.start < found.end).then_some(found)
}

/// The rest of a text, from the value on.
struct Part<'t> {
    text: &'t Text,
    at: usize,
    bytes: &'t [u8],
    levels: &'t [u8],
    level: u8,
}

impl Part<'_> {
    /// Returns a value that goes on to the end of the line.
    fn whole(&self, start: usize) -> Value {
        Value { start, end: self.bytes.len(), after: self.bytes.len() }
    }

    /// Finds a value in quotation marks. They may be escaped or tripled, or those of a byte string.
    fn quoted(&self) -> Option<Value> {
        let text = self.bytes;
        let prefix = text.iter().take(2).take_while(|byte| b"bBrRuUfF@$".contains(byte)).count();
        let escapes = backslashes(&text[prefix..]);
        let open = prefix + escapes;
        let mark = *text.get(open).filter(|byte| QUOTES.contains(byte))?;
        let tripled = [mark; 3];
        if text[open..].starts_with(&tripled) {
            let start = open + 3;
            let close = text[start..].windows(3).position(|three| three == tripled);
            return Some(close.map_or_else(
                || self.whole(start),
                |length| Value { start, end: start + length, after: start + length + 3 },
            ));
        }
        let start = open + 1;
        let mut at = start;
        while at < text.len() {
            let before = backslashes(&text[at..]);
            at += before;
            let is_mark = text.get(at) == Some(&mark) && self.levels[at] == self.levels[open];
            let is_bare = if escapes == 0 { before.is_multiple_of(2) } else { before <= escapes };
            if !(is_mark && is_bare) {
                // The byte is part of the value, unless the text ends here.
                at += 1;
                continue;
            }
            // Doubled marks as in `'it''s'`, and marks that are not escaped.
            let doubled = escapes == 0 && at > start && text.get(at + 1) == Some(&mark);
            if doubled {
                at += 2;
                continue;
            }
            if !is_end(text.get(at + 1)) && !text[at + 1..].starts_with(b"/>") {
                return Some(self.whole(start));
            }
            // The escapes of the closing mark are no part of the value.
            return Some(Value { start, end: at - if escapes == 0 { 0 } else { before }, after: at + 1 });
        }
        Some(self.whole(start))
    }

    /// Finds a value in brackets, with or without a name before them: `Some(x)`, `[x]`.
    fn wrapped(&self) -> Option<Value> {
        let text = self.bytes;
        let name =
            text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"_:!&*".contains(byte)).count();
        text.get(name).filter(|byte| OPENERS.contains(byte))?;
        // PHP writes the length before the text.
        if text[..name].eq_ignore_ascii_case(b"string") {
            return Some(self.whole(0));
        }
        let Some(close) = closer(text, name) else { return Some(self.whole(0)) };
        if is_end(text.get(close + 1)) {
            // A name may be the beginning of the value.
            let (start, end) = if name > 0 { (0, close + 1) } else { (1, close) };
            return Some(Value { start, end, after: close + 1 });
        }
        // The brackets are part of the value.
        None
    }

    /// Finds a value without marks. It ends at a space, at a separator of fields, or at the mark that closes the text around it.
    fn bare(&self) -> Value {
        let text = self.bytes;
        let mut at = 0;
        while at < text.len() {
            let byte = text[at];
            let rest = &text[at + 1..];
            let ends = self.levels[at] <= self.level
                && match byte {
                    _ if byte.is_ascii_whitespace() => true,
                    b',' | b';' | b'&' => begins_field(rest),
                    _ if is_soft(byte) => begins_field(rest),
                    _ if QUOTES.contains(&byte) || CLOSERS.contains(&byte) => {
                        is_end(rest.first()) && self.text.closes(byte, self.at)
                    }
                    _ => false,
                };
            if ends {
                break;
            }
            if OPENERS.contains(&byte) {
                match closer(text, at) {
                    Some(close) => at = close,
                    None => at = text.len() - 1,
                }
            }
            at += 1;
        }
        let escapes = text[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        let quote = text.get(at).is_some_and(|byte| QUOTES.contains(byte));
        let end = if quote { at - escapes } else { at };
        Value { start: 0, end, after: at }
    }
}

/// Returns the place of the bracket that closes the one at a place.
fn closer(text: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut mark = None;
    let mut at = open;
    while at < text.len() {
        let byte = text[at];
        match mark {
            _ if byte == b'\\' => at += 1,
            Some(quote) if byte == quote => mark = None,
            Some(_) => {}
            None if byte == b'"' => mark = Some(byte),
            None if OPENERS.contains(&byte) => depth += 1,
            None if CLOSERS.contains(&byte) => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at);
                }
            }
            None => {}
        }
        at += 1;
    }
    None
}

/// Returns the number of backslashes at the beginning of a text.
pub(super) fn backslashes(text: &[u8]) -> usize {
    text.iter().take_while(|byte| **byte == b'\\').count()
}

/// Whether a value may end before a byte.
pub(super) fn is_end(next: Option<&u8>) -> bool {
    next.is_none_or(|byte| {
        is_space(*byte)
            || b",;&|.\\".contains(byte)
            || QUOTES.contains(byte)
            || CLOSERS.contains(byte)
            || *byte == b'<'
    })
}

/// Whether another field begins after a comma, a semicolon or an ampersand.
pub(super) fn begins_field(text: &[u8]) -> bool {
    let name = text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"_-.[]".contains(byte)).count();
    match text.get(name) {
        Some(b'=' | b':') if name > 0 => true,
        _ if name > 0 => false,
        Some(byte) => is_space(*byte) || b"\"'\\{}[](".contains(byte),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Marks and brackets that may be closed after the value.
    const BEFORE: &str = "\"'`([{<";

    #[test]
    fn marks_that_close_nothing_belong_to_the_value() {
        for text in ["ab}}cd", "ab).cd", "ab\".cd"] {
            let found = value(&Text::new(text), 0, 0).expect(text);
            assert_eq!((found.start, found.end), (0, text.len()));
        }
    }

    #[test]
    fn the_ends_of_values_are_found() {
        for (text, hidden) in [
            ("abc def", "abc"),
            ("abc, def", "abc"),
            ("abc,def=1", "abc"),
            ("abc,def", "abc,def"),
            ("ab&c=1", "ab"),
            ("ab%26c=1", "ab%26c=1"),
            ("ab%20c", "ab%20c"),
            ("ab\\nc=1", "ab"),
            ("ab\\nc", "ab\\nc"),
            ("abc\"}", "abc"),
            ("abc\\\"}", "abc"),
            ("abc\\u0022}", "abc"),
            ("ab\"cd", "ab\"cd"),
            ("$(cat x) y", "$(cat x)"),
            ("ab(cd ef", "ab(cd ef"),
            ("abc)", "abc"),
            (r#""ab\"cd" x"#, r#"ab\"cd"#),
            (r#""ab\\" x"#, r"ab\\"),
            (r#""ab"cd" x"#, r#"ab"cd" x"#),
            (r"'it''s' x", "it''s"),
            (r"'''it's''' x", "it's"),
            (r#"\"ab\" x"#, "ab"),
            (r#"\"ab\\\"cd\" x"#, r#"ab\\\"cd"#),
            (r#"\u0022ab\\\u0022cd\u0022 x"#, r#"ab\\\u0022cd"#),
            (r#""ab%22, cd" x"#, r#"ab%22, cd"#),
            ("\"open end", "open end"),
            ("b'x' y", "x"),
            ("Some(\"x)\") y", "Some(\"x)\")"),
            ("abc(def) y", "abc(def)"),
            ("[a, b] c", "a, b"),
            ("{a: (b} c", "{a: (b} c"),
            ("(a", "(a"),
            ("string(3) \"abc\"", "string(3) \"abc\""),
        ] {
            let whole = format!("{BEFORE}{text}");
            let decoded = Text::new(&whole);
            let found = value(&decoded, BEFORE.len(), 0).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(&whole[decoded.place(found.start)..decoded.place(found.end)], hidden, "{text}");
        }
        for text in ["", "\"\"", " x", "''", ", x"] {
            assert_eq!(value(&Text::new(text), 0, 0), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn ranges_are_within_the_text(text in "[\\\\\"'(){}\\[\\]<>aä, %u0-9&;]{0,30}|.*") {
            let decoded = Text::new(&text);
            if let Some(found) = value(&decoded, 0, 0) {
                prop_assert!(found.start <= found.end && found.end <= found.after);
                prop_assert!(found.after <= decoded.bytes.len());
            }
        }
    }
}
