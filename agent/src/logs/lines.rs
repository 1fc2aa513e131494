//! Splits the bytes of a file into lines of bounded length. Never reads a file.

use firedrill_wire::logs::LINE_MOST;

/// The line that has begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
    /// Whether the rest of the line is dropped.
    dropping: bool,
}

/// A line without its line break.
pub(super) struct Line<'l> {
    pub(super) text: &'l [u8],
    /// Whether the line is too long, and `text` is only its beginning.
    pub(super) cut: bool,
}

impl Lines {
    /// Begins in the middle of a line: the bytes before the next line break are dropped.
    pub(super) const fn in_the_middle() -> Self {
        Self { begun: Vec::new(), dropping: true }
    }

    /// Takes the next bytes, and hands on each line that ends in them.
    pub(super) fn take(&mut self, mut data: &[u8], each: &mut dyn FnMut(Line<'_>)) {
        while !data.is_empty() {
            let end = data.iter().position(|byte| *byte == b'\n');
            let (part, rest) = end.map_or((data, &[][..]), |end| (&data[..end], &data[end + 1..]));
            if !self.dropping {
                let room = LINE_MOST - self.begun.len();
                self.begun.extend_from_slice(&part[..part.len().min(room)]);
                if part.len() > room {
                    each(Line { text: &self.begun, cut: true });
                    self.begun.clear();
                    self.dropping = true;
                }
            }
            if end.is_some() {
                if !std::mem::take(&mut self.dropping) {
                    each(Line { text: self.begun.strip_suffix(b"\r").unwrap_or(&self.begun), cut: false });
                }
                self.begun.clear();
            }
            data = rest;
        }
    }

    /// Whether a line has begun and not ended.
    pub(super) const fn have_begun(&self) -> bool {
        !self.begun.is_empty()
    }

    /// Ends an unfinished line, of which no more bytes come.
    pub(super) fn end(&mut self, each: &mut dyn FnMut(Line<'_>)) {
        if !self.begun.is_empty() {
            each(Line { text: &self.begun, cut: false });
        }
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns the length of each line, and whether it was cut.
    fn lines(parts: &[&[u8]]) -> Vec<(usize, bool)> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        let mut each = |line: Line<'_>| found.push((line.text.len(), line.cut));
        for part in parts {
            lines.take(part, &mut each);
        }
        lines.end(&mut each);
        found
    }

    #[test]
    fn long_lines_are_cut_and_counted_once() {
        let long = vec![b'x'; LINE_MOST + 1];
        assert_eq!(
            lines(&[b"a\r\nbc", b"d\n\n", &long, &long, b"\ny"]),
            [(1, false), (3, false), (0, false), (LINE_MOST, true), (1, false)]
        );
        assert_eq!(lines(&[&long[1..], b"\n"]), [(LINE_MOST, false)]);
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_the_parts_in_which_they_come(text in "[ab\n]{0,40}", at in 0_usize..40) {
            let bytes = text.as_bytes();
            let (first, second) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(lines(&[first, second]), lines(&[bytes]));
        }
    }
}
