//! Unfolds the lines of an iCalendar file, and splits them into name, parameters and value. Does not know what a property means.

use std::ops::Range;

/// A line after unfolding. `at` is the byte range in the file of its part before the first fold.
pub(super) struct Line {
    pub(super) text: String,
    pub(super) at: Range<usize>,
}

/// Returns the lines of a file. A line that begins with a blank or tab continues the line before, and is joined to it.
pub(super) fn unfolded(text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut at = 0;
    for whole in text.split_inclusive('\n') {
        let line = whole.trim_end_matches(['\r', '\n']);
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(last)) => last.text.push_str(rest),
            _ if line.is_empty() => {}
            _ => lines.push(Line { text: line.to_owned(), at: at..at + line.len() }),
        }
        at += whole.len();
    }
    lines
}

/// The parameters of a line, by name.
pub(super) type Params = Vec<(String, String)>;

/// Splits a line into its name, its parameters and its value; `None` if it has no name or no value. A `:` or `;` inside quotes does not separate.
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

/// Removes the escapes (`\,`, `\n`) from a value; a line break becomes a blank.
pub(super) fn unescaped(value: &str) -> String {
    let mut out = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n' | 'N') => out.push(' '),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}
