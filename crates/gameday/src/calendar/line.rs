//! The lines of an iCalendar file: folded, with a name, parameters and a value.

use std::ops::Range;

/// A line after unfolding: its text and its bytes in the file.
pub(super) struct Line {
    pub(super) text: String,
    pub(super) at: Range<usize>,
}

/// Joins lines that go on in the next one.
pub(super) fn unfolded(text: &str) -> Vec<Line> {
    let mut all: Vec<Line> = Vec::new();
    let mut at = 0;
    for whole in text.split_inclusive('\n') {
        let line = whole.trim_end_matches(['\r', '\n']);
        match (line.strip_prefix([' ', '\t']), all.last_mut()) {
            (Some(rest), Some(last)) => last.text.push_str(rest),
            _ if line.is_empty() => {}
            _ => all.push(Line { text: line.to_owned(), at: at..at + line.len() }),
        }
        at += whole.len();
    }
    all
}

/// The parameters of a line, by name.
pub(super) type Params = Vec<(String, String)>;

/// Splits a line into its name, its parameters and its value. Values of parameters may be quoted.
pub(super) fn split(line: &str) -> Option<(String, Params, &str)> {
    let mut quoted = false;
    let colon = line.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == ':' && !quoted).then_some(at)
    })?;
    let (head, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let mut quoted = false;
    let mut parts = head.split(|c: char| {
        quoted ^= c == '"';
        c == ';' && !quoted
    });
    let name = parts.next()?.trim().to_ascii_uppercase();
    let params = parts.filter_map(|part| {
        let (key, value) = part.split_once('=')?;
        Some((key.trim().to_ascii_uppercase(), value.trim().trim_matches('"').to_owned()))
    });
    (!name.is_empty()).then(|| (name, params.collect(), value))
}

/// Takes a value's text as it was before it was escaped; line breaks become blanks.
pub(super) fn unescaped(value: &str) -> String {
    let mut out = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n' | 'N') => out.push(' '),
                Some(other) => out.push(other),
                None => {}
            },
            (c, false) => out.push(c),
        }
    }
    out
}
