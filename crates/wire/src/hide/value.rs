//! Finds where the value of a name ends in a line that nobody has said the format of. In doubt it ends with the line.

/// A value: the byte range of what is hidden, and of what stays around it in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where to go on: after its closing mark.
    pub(super) after: usize,
}

const OPENERS: &[u8] = b"([{<";
const CLOSERS: &[u8] = b")]}>";
const QUOTES: &[u8] = b"\"'`";

/// Returns the value at the beginning of a text; `None` if there is none.
pub(super) fn value(text: &str) -> Option<Value> {
    let bytes = text.as_bytes();
    let found = quoted(bytes).or_else(|| wrapped(bytes)).unwrap_or_else(|| bare(bytes));
    (found.start < found.end).then_some(found)
}

/// A value in quotation marks, also escaped ones and those of byte strings.
fn quoted(text: &[u8]) -> Option<Value> {
    let prefix = text.iter().take(2).take_while(|byte| b"bBrRuUfF@$".contains(byte)).count();
    let escapes = backslashes(&text[prefix..]);
    let open = prefix + escapes;
    let mark = *text.get(open).filter(|byte| QUOTES.contains(byte))?;
    let start = open + 1;
    let whole = Value { start, end: text.len(), after: text.len() };
    let mut at = start;
    while at < text.len() {
        let before = backslashes(&text[at..]);
        at += before;
        if text.get(at) != Some(&mark) {
            // A character, unless it is the end.
            at += 1;
            continue;
        }
        let closes = if escapes == 0 { before.is_multiple_of(2) } else { before <= escapes };
        if !closes {
            at += 1;
            continue;
        }
        // `'it''s'`, and marks that nobody escaped.
        let doubled = escapes == 0 && at > start && text.get(at + 1) == Some(&mark);
        if doubled {
            at += 2;
            continue;
        }
        if !is_end(text.get(at + 1)) {
            return Some(whole);
        }
        // The marks' escapes are no part of it.
        return Some(Value { start, end: at - if escapes == 0 { 0 } else { before }, after: at + 1 });
    }
    Some(whole)
}

/// A value in brackets, with or without a name before them: `Some(x)`, `[x]`.
fn wrapped(text: &[u8]) -> Option<Value> {
    let name = text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"_:!&*".contains(byte)).count();
    text.get(name).filter(|byte| OPENERS.contains(byte))?;
    let whole = Value { start: 0, end: text.len(), after: text.len() };
    // PHP writes the length before the text.
    if text[..name].eq_ignore_ascii_case(b"string") {
        return Some(whole);
    }
    let Some(close) = closer(text, name) else { return Some(whole) };
    if is_end(text.get(close + 1)) {
        // A name may be the beginning of the value.
        let (start, end) = if name > 0 { (0, close + 1) } else { (1, close) };
        return Some(Value { start, end, after: close + 1 });
    }
    // The brackets are the value's own.
    None
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

/// A value without marks: up to a space, to what separates fields, or to the mark that closes what is around it.
fn bare(text: &[u8]) -> Value {
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        let rest = &text[at + 1..];
        let ends = match byte {
            _ if byte.is_ascii_whitespace() => true,
            b',' | b';' | b'&' => begins_field(rest),
            _ if QUOTES.contains(&byte) || CLOSERS.contains(&byte) => is_end(rest.first()),
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

fn backslashes(text: &[u8]) -> usize {
    text.iter().take_while(|byte| **byte == b'\\').count()
}

/// Whether a value may end before a byte.
fn is_end(next: Option<&u8>) -> bool {
    next.is_none_or(|byte| {
        byte.is_ascii_whitespace()
            || b",;&|.\\".contains(byte)
            || QUOTES.contains(byte)
            || CLOSERS.contains(byte)
            || *byte == b'<'
    })
}

/// Whether another field begins after a comma, a semicolon or an ampersand.
fn begins_field(text: &[u8]) -> bool {
    let name =
        text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"_-.[]%".contains(byte)).count();
    match text.get(name) {
        Some(b'=' | b':') if name > 0 => true,
        _ if name > 0 => false,
        Some(byte) => byte.is_ascii_whitespace() || b"\"'\\{}[](".contains(byte),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_end_where_they_do() {
        for (text, hidden) in [
            ("abc def", "abc"),
            ("abc, def", "abc"),
            ("abc,def=1", "abc"),
            ("abc,def", "abc,def"),
            ("ab&c=1", "ab"),
            ("abc\"}", "abc"),
            ("abc\\\"}", "abc"),
            ("ab\"cd", "ab\"cd"),
            ("$(cat x) y", "$(cat x)"),
            ("ab(cd ef", "ab(cd ef"),
            ("abc)", "abc"),
            (r#""ab\"cd" x"#, r#"ab\"cd"#),
            (r#""ab\\" x"#, r"ab\\"),
            (r#""ab"cd" x"#, r#"ab"cd" x"#),
            (r"'it''s' x", "it''s"),
            (r#"\"ab\" x"#, "ab"),
            (r#"\"ab\\\"cd\" x"#, r#"ab\\\"cd"#),
            ("\"open end", "open end"),
            ("b'x' y", "x"),
            ("Some(\"x)\") y", "Some(\"x)\")"),
            ("abc(def) y", "abc(def)"),
            ("[a, b] c", "a, b"),
            ("{a: (b} c", "{a: (b} c"),
            ("(a", "(a"),
            ("string(3) \"abc\"", "string(3) \"abc\""),
        ] {
            let found = value(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(&text[found.start..found.end], hidden, "{text}");
        }
        for text in ["", "\"\"", " x", "''", ", x"] {
            assert_eq!(value(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn ranges_are_of_the_text(text in any::<String>()) {
            if let Some(found) = value(&text) {
                prop_assert!(text.is_char_boundary(found.start) && text.is_char_boundary(found.end));
                prop_assert!(text.is_char_boundary(found.after) && found.end <= found.after);
            }
        }

        #[test]
        fn ranges_of_marks_are_of_the_text(text in "[\\\\\"'(){}\\[\\]<>aä, ]{0,30}") {
            if let Some(found) = value(&text) {
                prop_assert!(text.is_char_boundary(found.start) && text.is_char_boundary(found.end));
                prop_assert!(text.is_char_boundary(found.after) && found.end <= found.after);
            }
        }
    }
}
