//! Collects the hidden parts of a line.

use super::text::Text;
use crate::hide::HIDDEN;

/// Ranges of a decoded line that are hidden.
#[derive(Default)]
pub(super) struct Ranges(Vec<(usize, usize)>);

impl Ranges {
    pub(super) fn push(&mut self, start: usize, end: usize) {
        if start < end {
            self.0.push((start, end));
        }
    }

    /// Returns the line with these ranges hidden.
    pub(super) fn without(mut self, line: &str, text: &Text) -> String {
        self.0.sort_unstable();
        let mut shown = String::with_capacity(line.len());
        let mut copied = 0;
        let mut ranges = self.0.into_iter().peekable();
        while let Some((start, mut end)) = ranges.next() {
            while let Some((_, next)) = ranges.next_if(|(start, _)| *start <= end) {
                end = end.max(next);
            }
            // Characters are hidden as a whole.
            let start = floor(line, text.place(start)).max(copied);
            let end = ceil(line, text.place(end));
            if start >= end {
                continue;
            }
            shown.push_str(&line[copied..start]);
            shown.push_str(HIDDEN);
            copied = end;
        }
        shown.push_str(&line[copied..]);
        shown
    }
}

/// Returns the beginning of the character at a place.
fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Returns the place itself, or the end of the character that it is inside of.
fn ceil(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}
