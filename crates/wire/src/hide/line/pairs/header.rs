//! Names of headers, whose values have several words.

use super::{Pairs, between::Between};
use crate::hide::{
    line::{
        names::{Class, Place, is_harmless},
        text::is_space,
    },
    value::{QUOTES, backslashes, value},
};

impl Pairs<'_, '_> {
    /// Hides the value of a header whose whole value is secret. Returns the place at which reading continues; `None` for any other name.
    pub(super) fn header(&mut self, start: usize, end: usize, between: &Between) -> Option<usize> {
        let name = self.str(start, end).to_ascii_lowercase();
        let header = name.ends_with("authorization")
            || name == "cookie"
            || name == "set-cookie"
            || name.ends_with(".cookie")
            || ["x-api-key", "x-auth-token"].iter().any(|end| name.ends_with(end));
        if !header || between.sign == b"," || between.sign == b"->" {
            return None;
        }
        let bytes = &self.text.bytes;
        let (from, to) = self.look(between.to);
        let first = self.str(between.to + from, between.to + to);
        let place = Place {
            name: "header",
            class: Class::Secret,
            query: false,
            prose: between.spaced && from == 0,
            port: false,
            goes_on: true,
        };
        if self.is_whole(between.to, (from, to)) && is_harmless(&place, first) {
            return Some(between.to);
        }
        let slashes = backslashes(&bytes[between.to..]);
        let opens = bytes
            .get(between.to + slashes)
            .is_some_and(|byte| QUOTES.contains(byte) || b"[({".contains(byte));
        if opens && let Some(found) = value(self.text, between.to, between.level) {
            // The value of a cookie may begin with a quotation mark and go on after it.
            let ends =
                bytes.get(found.after).is_none_or(|byte| is_space(*byte) || b",}])\\\"'".contains(byte));
            if ends {
                return Some(self.value(between.to, between.level));
            }
        }
        Some(self.rest(between.to))
    }
}
