//! Parses the server-sent events of agents. Reads no stream itself.

use std::collections::VecDeque;

/// Maximum size of an event, in bytes.
const LONGEST: usize = 4 * 1024 * 1024;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// Its type; empty if none was given.
    pub(super) kind: String,
    /// Its data; several lines are joined by line feeds.
    pub(super) data: String,
}

/// A parser that accepts bytes in any pieces.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// The bytes of a line that is not complete yet.
    line: Vec<u8>,
    /// Whether the last byte was a carriage return that ended a line, so that a following line feed belongs to it.
    after_return: bool,
    /// The event whose lines are being read.
    open: Event,
    /// Whether `open` has a line of data. An event without data is none.
    has_data: bool,
    /// Complete events that were not taken yet.
    done: VecDeque<Event>,
}

impl Parser {
    /// Returns the next complete event.
    pub(super) fn next(&mut self) -> Option<Event> {
        self.done.pop_front()
    }

    /// Adds received bytes.
    ///
    /// # Errors
    /// They are not UTF-8, or an event is too long.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), String> {
        for &byte in bytes {
            let second_half = std::mem::take(&mut self.after_return) && byte == b'\n';
            match byte {
                b'\n' if second_half => {}
                b'\n' | b'\r' => {
                    self.after_return = byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    self.take(std::str::from_utf8(&line).map_err(|error| error.to_string())?);
                }
                _ => self.line.push(byte),
            }
        }
        let held = self.line.len() + self.open.data.len();
        if held > LONGEST { Err(format!("an event of more than {LONGEST} bytes")) } else { Ok(()) }
    }

    /// Takes a complete line. An empty one ends the event.
    fn take(&mut self, line: &str) {
        if line.is_empty() {
            let event = std::mem::take(&mut self.open);
            if std::mem::take(&mut self.has_data) {
                self.done.push_back(event);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.open.kind),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.open.data.push('\n');
                }
                self.open.data.push_str(value);
            }
            // Comments have an empty field name. The field `id` is not needed, because the data has the number, too.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns the events of bytes that arrive in these pieces.
    fn parsed(pieces: &[&[u8]]) -> Vec<Event> {
        let mut parser = Parser::default();
        for piece in pieces {
            parser.push(piece).expect("sound");
        }
        std::iter::from_fn(|| parser.next()).collect()
    }

    #[test]
    fn comments_ids_and_unfinished_events_are_not_events() {
        let text = ": open\n\nid: 1\ndata: {\"a\":1}\n\n:\n\nid: 2\r\nevent: end\r\ndata: x\r\ndata:y\r\n\r\ndata: cut";
        let event = |kind: &str, data: &str| Event { kind: kind.to_owned(), data: data.to_owned() };
        assert_eq!(parsed(&[text.as_bytes()]), [event("", "{\"a\":1}"), event("end", "x\ny")]);
    }

    #[test]
    fn a_line_without_an_end_does_not_fill_the_memory() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; 1024 * 1024];
        assert!((0..8).any(|_| parser.push(&piece).is_err()));
        let mut parser = Parser::default();
        let piece = b"data: xxxxxxxxxxxxxxx\n".repeat(64 * 1024);
        assert!((0..8).any(|_| parser.push(&piece).is_err()));
    }

    proptest! {
        #[test]
        fn events_do_not_depend_on_how_the_bytes_are_divided(text in "((id|event|data|)(: ?[a-z]{0,5})?(\n|\r\n|\r)){0,20}", cuts in proptest::collection::vec(0_usize..200, 0..6)) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
            prop_assert_eq!(parsed(&pieces), parsed(&[text.as_bytes()]));
        }
    }
}
