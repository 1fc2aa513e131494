//! Texts of others that people will read: on a terminal, in syslog, at login, in a report.
//!
//! Each text is cleaned once, when it is received. A character that would move a cursor, begin another line, reverse the order of letters or
//! be invisible is replaced by a sign, and a text that is too long is cut.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};

/// The longest name, in characters.
pub const NAME_MOST: usize = 200;
/// The longest text of any other kind, in characters.
pub const TEXT_MOST: usize = 8000;

/// Whether a text may name a game day or a role: lower-case letters, digits and `-`, which is not the first.
#[must_use]
pub fn is_simple_name(name: &str) -> bool {
    let is_valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.starts_with(|c: char| is_valid(c) && c != '-')
        && name.chars().all(is_valid)
        && name.chars().count() <= NAME_MOST
}

/// Whether a character is shown as it is. Line breaks and tabs are not.
#[must_use]
pub fn is_plain(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    !(c.is_control()
        || matches!(c,
            // Marks that change the direction of writing, and invisible ones.
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
            // Code points that are no characters.
            | '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe)
}

/// The sign in place of a character that is not plain.
fn sign(c: char) -> char {
    match c {
        '\n' | '\r' | '\t' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
        // The pictures of ASCII's control characters have the same order.
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\x7f' => '\u{2421}',
        _ => '\u{fffd}',
    }
}

/// Returns one line of at most `most` characters, in which each character that is not plain is replaced by a sign.
#[must_use]
pub fn clean(text: &str, most: usize) -> Cow<'_, str> {
    // No text has more characters than bytes.
    if text.chars().all(is_plain) && (text.len() <= most || text.chars().count() <= most) {
        return Cow::Borrowed(text);
    }
    let mut cleaned: String =
        text.chars().take(most).map(|c| if is_plain(c) { c } else { sign(c) }).collect();
    if text.chars().nth(most).is_some() {
        cleaned.pop();
        cleaned.push('…');
    }
    Cow::Owned(cleaned)
}

/// Does the same as [`clean`], for an owned text.
#[must_use]
pub fn cleaned(text: String, most: usize) -> String {
    if let Cow::Owned(cleaned) = clean(&text, most) { cleaned } else { text }
}

/// Does the same as [`clean`] for texts of several lines: keeps line breaks, and replaces tabs by four spaces.
#[must_use]
pub fn clean_lines(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let spaced = line.strip_suffix('\r').unwrap_or(line).replace('\t', "    ");
        clean(&spaced, usize::MAX).into_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns a line without control characters and their sequences, such as colours of a terminal, and without invisible characters, which may
/// be within words. Keeps tabs.
#[must_use]
pub fn without_invisible(line: &str) -> Cow<'_, str> {
    let is_invisible = |c: char| {
        matches!(c, '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200c}' | '\u{200d}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}')
    };
    let is_kept = |c: char| c == '\t' || (is_plain(c) && !is_invisible(c));
    if line.chars().all(is_kept) {
        return Cow::Borrowed(line);
    }
    let mut kept = String::with_capacity(line.len());
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        let sequence = match c {
            '\u{1b}' => rest.next_if(|next| matches!(next, ' '..='~')),
            '\u{9b}' => Some('['),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => Some(']'),
            _ => None,
        };
        match sequence {
            Some('[') => {
                while rest.next_if(|next| matches!(next, ' '..='?')).is_some() {}
                let _ = rest.next_if(|next| matches!(next, '@'..='~'));
            }
            // A string, up to the bell or the sequence that ends it.
            Some(']' | 'P' | 'X' | '^' | '_') => {
                while let Some(inside) = rest.next() {
                    if matches!(inside, '\u{7}' | '\u{9c}') {
                        break;
                    }
                    if inside == '\u{1b}' {
                        let _ = rest.next_if_eq(&'\\');
                        break;
                    }
                }
            }
            // The choice of a character set, whose name follows.
            Some(' '..='/') => {
                while rest.next_if(|next| matches!(next, ' '..='/')).is_some() {}
                let _ = rest.next_if(|next| matches!(next, '0'..='~'));
            }
            Some(_) => {}
            None if is_kept(c) => kept.push(c),
            // A line break within a line separates words.
            None if sign(c) == ' ' => kept.push(' '),
            None => {}
        }
    }
    Cow::Owned(kept)
}

/// Joins the lines of a text with spaces. Leaves out empty lines.
#[must_use]
pub fn joined(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Returns the reason, for messages, why a text cannot be shown unchanged; `None` if it can.
#[must_use]
pub fn flaw(text: &str, most: usize) -> Option<String> {
    if let Some(c) = text.chars().find(|c| !is_plain(*c)) {
        let what = match c {
            '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => "a line break",
            '\t' => "a tab",
            c if c.is_control() => "a control character",
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                "a mark that changes the direction of writing"
            }
            _ => "a character that nobody sees",
        };
        return Some(format!("{what} (U+{:04X})", u32::from(c)));
    }
    let count = text.chars().count();
    (count > most).then(|| format!("{count} characters, and at most {most} fit"))
}

/// The treatment of line breaks in texts of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaks {
    /// Each text becomes one line, which is cut if it is too long.
    None,
    /// Line breaks and tabs are kept, as in the body of a request.
    Kept,
}

/// Reads JSON from others. Cleans each text in it, also keys.
///
/// # Errors
/// The bytes are not JSON, or not that of a `T`.
pub fn from_json<T: DeserializeOwned>(json: &[u8], breaks: Breaks) -> serde_json::Result<T> {
    if is_plain_json(json, breaks) {
        return serde_json::from_slice(json);
    }
    let mut value: serde_json::Value = serde_json::from_slice(json)?;
    clean_value(&mut value, breaks);
    T::deserialize(value)
}

/// Whether there is certainly nothing to clean, so that the JSON need not be read as a tree. Most JSON is like that.
fn is_plain_json(json: &[u8], breaks: Breaks) -> bool {
    let kept = breaks == Breaks::Kept;
    let short = kept || json.len() <= TEXT_MOST;
    let escapes: &[u8] = if kept { b"\"/nrt" } else { b"\"/" };
    let ascii = |byte: &u8| matches!(byte, b'\n' | b'\r' | b'\t' | 0x20..=0x7e);
    short
        && json.iter().all(ascii)
        && json.windows(2).all(|pair| pair[0] != b'\\' || escapes.contains(&pair[1]))
}

/// Cleans all texts in a value.
fn clean_value(value: &mut serde_json::Value, breaks: Breaks) {
    use serde_json::Value;
    match value {
        Value::String(text) => clean_owned(text, breaks),
        Value::Array(values) => values.iter_mut().for_each(|value| clean_value(value, breaks)),
        Value::Object(members) => {
            for value in members.values_mut() {
                clean_value(value, breaks);
            }
            if members.keys().any(|key| !key.chars().all(is_plain)) {
                let old = std::mem::take(members);
                members
                    .extend(old.into_iter().map(|(key, value)| (clean(&key, NAME_MOST).into_owned(), value)));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Cleans a text in place.
fn clean_owned(text: &mut String, breaks: Breaks) {
    let cleaned = match breaks {
        Breaks::None => match clean(text, limit(text)) {
            Cow::Borrowed(_) => return,
            Cow::Owned(cleaned) => cleaned,
        },
        Breaks::Kept if text.chars().all(is_plain) => return,
        Breaks::Kept => clean_breaks(text),
    };
    *text = cleaned;
}

/// Replaces all characters that are not plain, except line breaks and tabs.
fn clean_breaks(text: &str) -> String {
    text.chars().map(|c| if is_plain(c) || matches!(c, '\n' | '\r' | '\t') { c } else { sign(c) }).collect()
}

/// Returns the maximum length of a text. A text without a space has none: it is data in text form, such as a histogram.
fn limit(text: &str) -> usize {
    if text.bytes().any(|byte| byte == b' ') { TEXT_MOST } else { usize::MAX }
}

/// For `deserialize_with`: reads a name or another short text.
///
/// # Errors
/// The value is no text.
pub fn short<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| cleaned(text, NAME_MOST))
}

/// For `deserialize_with`: reads a short text that may be missing.
///
/// # Errors
/// The value is no text.
pub fn short_option<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| cleaned(text, NAME_MOST)))
}

#[cfg(test)]
mod tests;
