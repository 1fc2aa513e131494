//! Names and values that are two fields of the same object, and contents of elements.

use super::{NOT_ENCODED, Pairs, between::Between, is_soft, is_space};
use crate::hide::{
    line::names::{Class, Place, class, is_harmless},
    value::value,
};

/// Maximum number of elements without an end whose end is looked for.
const OPEN_MOST: usize = 16;

impl Pairs<'_, '_> {
    /// Ends the innermost object if it began with this bracket.
    pub(super) fn close(&mut self, mark: u8) {
        if self.objects.len() > 1 && self.objects.last().is_some_and(|object| object.mark == mark) {
            self.objects.pop();
        }
    }

    /// Takes a name whose value is no secret. It may be a field with the name or the value of a pair. Returns the place at which reading
    /// continues.
    pub(super) fn field(&mut self, name: &str, between: &Between) -> usize {
        let last = name.rsplit(['.', '-', '_']).next().unwrap_or(name).to_ascii_lowercase();
        let go_on = between.to;
        if ["name", "key", "id", "parameter", "variable", "field", "header", "property", "attribute", "param"]
            .contains(&last.as_str())
        {
            return self.listed_name(between);
        }
        if !["value", "val", "content", "data", "plaintext", "default"].contains(&last.as_str()) {
            return go_on;
        }
        self.last = Some((between.to, between.level));
        let secret = self.objects.last().is_some_and(|object| object.secret);
        if secret {
            let (from, to) = self.look(between.to);
            let first = self.str(between.to + from, between.to + to);
            let place = Place {
                name: "value",
                class: Class::Secret,
                query: false,
                prose: false,
                port: false,
                goes_on: false,
            };
            return if self.is_whole(between.to, (from, to)) && is_harmless(&place, first) {
                go_on
            } else {
                self.value(between.to, between.level)
            };
        }
        if let Some(object) = self.objects.last_mut().filter(|object| !object.named) {
            object.value = Some((between.to, between.level));
        }
        go_on
    }

    /// Returns the kind of value that a name has. This name is itself the value of a field, such as `/app/db/password`.
    pub(super) fn class_of_listed(&self, text: &str) -> Class {
        let name = text.rsplit(['/', ':']).next().unwrap_or(text);
        if name.len() <= 64 { class(name) } else { Class::Plain }
    }

    /// Takes a field whose value is a name. Returns the place at which reading continues.
    pub(super) fn listed_name(&mut self, between: &Between) -> usize {
        let (from, to) = self.look(between.to);
        let text = self.str(between.to + from, between.to + to);
        let bytes = &self.text.bytes;
        let secret = self.class_of_listed(text) == Class::Secret;
        let Some(object) = self.objects.last_mut() else { return between.to };
        let before = object.value.take();
        (object.secret, object.named) = (secret, true);
        if secret {
            self.value_before(before, between.to);
        }
        // A part of a form: its value follows an empty line.
        let after = (between.to + to + 1).min(bytes.len());
        let lines = bytes[after..].iter().take_while(|byte| is_soft(**byte)).count();
        if secret && from > 0 && lines > 1 {
            return self.value(after + lines, NOT_ENCODED);
        }
        between.to
    }

    /// Hides the value before the name of a secret: that of the same object, and the one immediately before the name, whose brackets may
    /// have looked like the end of the object.
    fn value_before(&mut self, own: Option<(usize, u8)>, name: usize) {
        if let Some((at, level)) = own
            && let Some(found) = value(self.text, at, level)
        {
            self.hide.push(found.start, found.end.min(name));
        }
        let Some((at, level)) = self.last.take().filter(|last| Some(*last) != own) else { return };
        let Some(found) = value(self.text, at, level).filter(|found| found.after <= name) else { return };
        let gap = &self.text.bytes[found.after..name];
        let signs = gap.iter().filter(|byte| b":=".contains(byte)).count();
        if gap.len() <= 40 && signs == 1 && !gap.iter().any(|byte| b"{}[]<>".contains(byte)) {
            self.hide.push(found.start, found.end);
        }
    }

    /// Hides the content of an element with the name of a secret. Returns the place at which reading continues.
    pub(super) fn element(&mut self, open: usize) -> usize {
        let bytes = &self.text.bytes;
        let go_on = open + 1;
        // `Vec<Token>`
        let of_type = |byte: u8| byte.is_ascii_alphanumeric() || b"_:".contains(&byte);
        let inside = open > 0 && of_type(bytes[open - 1]);
        let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_:.-".contains(byte);
        let name = go_on + bytes[go_on..].iter().take_while(|byte| of_name(byte)).count();
        if name == go_on {
            return go_on;
        }
        let local = self.str(go_on, name).rsplit(':').next().unwrap_or_default();
        if class(local) != Class::Secret {
            return go_on;
        }
        let Some(length) = bytes[name..].iter().position(|byte| b"<>".contains(byte)) else { return go_on };
        let start = name + length + 1;
        if bytes[start - 1] == b'<' || bytes[start - 2] == b'/' {
            return go_on;
        }
        let closing = [b"</", &bytes[go_on..name]].concat();
        // Each search may read the whole line.
        let searched = self.open < OPEN_MOST;
        let mut parts = bytes[start..].windows(closing.len());
        let close = if searched { parts.position(|part| part.eq_ignore_ascii_case(&closing)) } else { None };
        self.open += usize::from(close.is_none());
        let content = match close {
            Some(length) => start..start + length,
            // `<Token>: x`, `login <user> <password> [options]`
            None if inside
                || bytes
                    .get(start)
                    .is_none_or(|byte| is_space(*byte) || b":,;.()[]{}<>|\"'".contains(byte)) =>
            {
                return go_on;
            }
            None => {
                start
                    ..start
                        + bytes[start..].iter().position(|byte| *byte == b'<').unwrap_or(bytes.len() - start)
            }
        };
        let text = &bytes[content.clone()];
        if text.iter().all(|byte| is_space(*byte)) {
            return go_on;
        }
        self.objects.pop();
        self.hide.push(content.start, content.end);
        content.end
    }

    /// Hides the content of an element whose attribute is the name of a secret: `<entry key="password">x</entry>`, also within
    /// `<value>`. Returns the place at which reading continues.
    pub(super) fn content(&mut self, mut at: usize) -> usize {
        const TAG: &[u8] = b"<value>";
        let bytes = &self.text.bytes;
        if bytes[at..].get(..TAG.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(TAG)) {
            at += TAG.len();
        }
        let length = bytes[at..].iter().position(|byte| *byte == b'<').unwrap_or(0);
        if bytes[at..at + length].iter().any(|byte| !is_space(*byte)) {
            self.hide.push(at, at + length);
        }
        at + length
    }
}
