//! Names and their values: `name=value`, `"name": "value"`, `<name>value</name>`, `--name value`, `name is value`, and lists of names
//! and values.

mod between;
mod fields;
mod header;
mod words;

use super::{
    names::{Class, Place, class, is_harmless},
    ranges::Ranges,
    text::{NOT_ENCODED, Text, is_soft, is_space},
};
use crate::hide::value::{QUOTES, value};

/// An object, an element or the whole line, which may have a name and a value as two fields.
#[derive(Clone, Copy, Default)]
struct Object {
    /// The bracket that opened it; 0 for the line.
    mark: u8,
    /// Whether its name is that of a secret.
    secret: bool,
    /// Whether it has a name.
    named: bool,
    /// The place of a value that came before the name, and the level of its sign.
    value: Option<(usize, u8)>,
}

/// Reads a line from left to right.
pub(super) struct Pairs<'t, 'r> {
    text: &'t Text,
    hide: &'r mut Ranges,
    objects: Vec<Object>,
    /// Whether the number of quotation marks so far is odd.
    quoted: bool,
    /// Number of elements without an end.
    open: usize,
    /// The place of the newest field that may be the value of a later name, and the level of its sign.
    last: Option<(usize, u8)>,
}

impl<'t, 'r> Pairs<'t, 'r> {
    pub(super) fn new(text: &'t Text, hide: &'r mut Ranges) -> Self {
        Self { text, hide, objects: vec![Object::default()], quoted: false, open: 0, last: None }
    }

    /// Reads the whole line.
    pub(super) fn read(mut self) {
        let bytes = &self.text.bytes;
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            if byte.is_ascii_alphabetic() {
                let end = at + self.name_length(at);
                at = self.name(at, end).max(end);
                continue;
            }
            match byte {
                b'"' => self.quoted ^= at == 0 || bytes[at - 1] != b'\\',
                b'{' => self.objects.push(Object { mark: byte, ..Object::default() }),
                b'<' => {
                    self.objects.push(Object { mark: byte, ..Object::default() });
                    at = self.element(at).max(at + 1);
                    continue;
                }
                b'}' => self.close(b'{'),
                b'>' if at > 0 && !b"-=".contains(&bytes[at - 1]) => {
                    let secret =
                        self.objects.last().is_some_and(|object| object.mark == b'<' && object.secret);
                    self.close(b'<');
                    if secret && bytes[at - 1] != b'/' {
                        at = self.content(at + 1);
                        continue;
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// Returns the length of the name that begins at a place.
    fn name_length(&self, at: usize) -> usize {
        let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
        let mut length = self.text.bytes[at..].iter().take_while(|byte| of_name(byte)).count();
        // The arrow of `a->b` is no part of the name.
        if self.text.bytes[at..at + length].ends_with(b"-") && self.text.bytes.get(at + length) == Some(&b'>')
        {
            length -= 1;
        }
        length
    }

    /// Returns a part of the line as text, up to the first byte that is not UTF-8.
    fn str(&self, from: usize, to: usize) -> &'t str {
        let bytes = &self.text.bytes[from..to];
        let valid = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
        std::str::from_utf8(&bytes[..valid]).unwrap_or_default()
    }

    /// Returns the kind of value that a name has, also if the letter of an escape before it belongs to it.
    fn class(&self, start: usize, end: usize) -> Class {
        let name = self.str(start, end);
        let found = class(name);
        match self.text.letter_before(start) {
            Some(letter) if found == Class::Plain => class(&format!("{}{name}", char::from(letter))),
            _ => found,
        }
    }

    /// Takes a name. Returns the place at which reading continues.
    fn name(&mut self, start: usize, end: usize) -> usize {
        let bytes = &self.text.bytes;
        // `setPassword("x")`
        if bytes.get(end) == Some(&b'(')
            && bytes.get(end + 1).is_some_and(|byte| QUOTES.contains(byte))
            && self.class(start, end) == Class::Secret
        {
            return self.value(end + 1, NOT_ENCODED).max(end);
        }
        let Some(between) = self.between(end) else { return self.without_sign(start, end) };
        if let Some(after) = self.header(start, end, &between) {
            return after;
        }
        let name = self.str(start, end);
        let class = self.class(start, end);
        if class == Class::Plain {
            return self.field(name, &between);
        }
        let before = start.checked_sub(1).map(|at| bytes[at]);
        let prose = between.sign == b":" && between.spaced && !between.closed;
        let last = name.rsplit('.').next().unwrap_or(name);
        // `/run/secrets/token: permission denied`, `unexpected token: x`
        let is_message = prose && (before == Some(b'/') || is_unexpected(&bytes[..start]));
        let weak = class == Class::Maybe || !between.spaced;
        // The arrow of a pointer, and columns of tables.
        let no_value = match between.sign {
            b"->" | b">>" => weak,
            b"|" => weak || !name.to_ascii_lowercase().contains("passw"),
            _ => false,
        };
        if is_message || no_value {
            return end;
        }
        let (from, to) = self.look(between.to);
        let first = self.str(between.to + from, between.to + to);
        let place = Place {
            name,
            class,
            query: before.is_some_and(|byte| b"?&".contains(&byte)),
            prose: prose && from == 0,
            port: between.sign == b":" && !between.spaced,
            goes_on: bytes[between.to + to..]
                .iter()
                .any(|byte| byte.is_ascii_alphanumeric() || *byte == b'*'),
        };
        let whole = self.is_whole(between.to, (from, to));
        if from == to {
            // `password=""`, but not `password="""x"""`
            if from > 0 && whole {
                return between.to + to + 1;
            }
        } else if whole && is_harmless(&place, first) {
            return between.to;
        }
        // An object in a message about a key. Its fields are read by their names.
        if class == Class::Maybe && first.starts_with('{') {
            return between.to;
        }
        // The value is a name: the line is a list of names and values.
        if last.eq_ignore_ascii_case("key") && self.class_of_listed(first) == Class::Secret {
            return self.listed_name(&between);
        }
        if place.prose && (first.starts_with('!') || [">", ">-", "|", "|-"].contains(&first)) {
            return self.rest(between.to);
        }
        if between.sign == b"," && self.is_field(between.to) {
            return end + bytes[end..].iter().position(|byte| *byte == b',').unwrap_or(0);
        }
        if last.to_ascii_lowercase().contains("phrase")
            && !bytes.get(between.to).is_some_and(|byte| QUOTES.contains(byte))
        {
            return self.rest(between.to);
        }
        self.value(between.to, between.level)
    }

    /// Hides the value at a place. `level` is the number of times that the sign before it was encoded. Returns the place at which reading
    /// continues.
    fn value(&mut self, at: usize, level: u8) -> usize {
        let Some(found) = value(self.text, at, level) else { return at };
        self.hide.push(found.start, found.end);
        let marks = self.text.bytes[at..found.after].iter().filter(|byte| **byte == b'"').count();
        self.quoted ^= marks % 2 == 1;
        found.after
    }

    /// Hides all up to the end of the line, or up to the end of the text in quotation marks that contains the name. Returns the place at which
    /// reading continues.
    fn rest(&mut self, at: usize) -> usize {
        let bytes = &self.text.bytes;
        let ends = |place: &usize| {
            bytes[*place] == b'"'
                && bytes[*place - 1] != b'\\'
                && bytes
                    .get(place + 1)
                    .is_none_or(|next| next.is_ascii_whitespace() || b",}])".contains(next))
        };
        let close = if self.quoted && at > 0 { (at..bytes.len()).find(ends) } else { None };
        let end = close.unwrap_or(bytes.len());
        let trimmed = bytes[at..end]
            .iter()
            .rposition(|byte| !byte.is_ascii_whitespace())
            .map_or(at, |last| at + last + 1);
        self.hide.push(at, trimmed);
        end
    }
}

/// Whether the text before a name shows that a parser reports the name as a token.
fn is_unexpected(before: &[u8]) -> bool {
    ["unexpected", "illegal", "unrecognized"].iter().any(|word| ends_with_word(before, word.as_bytes()))
}

/// Whether a text ends with a word, in upper or lower case, and spaces after it.
fn ends_with_word(text: &[u8], word: &[u8]) -> bool {
    let end = text.iter().rposition(|byte| !is_space(*byte)).map_or(0, |at| at + 1);
    end >= word.len()
        && end < text.len()
        && text[end - word.len()..end].eq_ignore_ascii_case(word)
        && !is_soft(text[end - 1])
}
