//! Keeps the last lines that a program writes to its outputs, with secrets hidden.
//!
//! Memory is bounded, however much the program writes. The program never has to wait: reading goes on, and the oldest lines are dropped.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use firedrill_wire::{
    hide::{HIDDEN, KeyBlock},
    logs::shown,
};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

/// Maximum number of lines that are kept. Older ones are dropped.
const LINES_MOST: usize = 40;
/// Maximum length of a line that is read, in bytes; the rest of a longer one is dropped.
const LINE_MOST: u64 = 4096;

/// The last lines of both outputs of a program, in the order in which they were read.
#[derive(Default)]
pub(super) struct Lines(Mutex<Kept>);

/// The lines that are kept.
#[derive(Default)]
struct Kept {
    last: VecDeque<String>,
    /// Number of lines that were dropped before these.
    left_out: u64,
}

impl Lines {
    /// Reads an output to its end, or until reading fails. `None` is an output without a pipe, and ends at once.
    pub(super) async fn read(&self, output: Option<impl AsyncRead + Unpin>) {
        let Some(output) = output else { return };
        let mut reader = BufReader::new(output);
        let (mut line, mut key_block) = (Vec::new(), KeyBlock::default());
        while let Ok(1..) = (&mut reader).take(LINE_MOST).read_until(b'\n', &mut line).await {
            let text = line.trim_ascii_end();
            self.keep(if key_block.takes(text) { HIDDEN.to_owned() } else { shown(text) });
            // The rest of a long line is dropped. As a separate line it might show the second half of a secret, which would not be recognized
            // without the text before it.
            while !line.is_empty() && !line.ends_with(b"\n") {
                line.clear();
                if (&mut reader).take(LINE_MOST).read_until(b'\n', &mut line).await.is_err() {
                    return;
                }
            }
            line.clear();
        }
    }

    /// Adds a line, and drops the oldest one if there are too many.
    fn keep(&self, text: String) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last.push_back(text);
        if kept.last.len() > LINES_MOST {
            kept.last.pop_front();
            kept.left_out += 1;
        }
    }

    /// Takes the kept lines. Also returns the number of lines that were dropped before them.
    pub(super) fn take(&self) -> (Vec<String>, u64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.last.drain(..).collect(), kept.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_lines_are_kept_without_secrets_and_terminal_escapes() {
        let lines = Lines::default();
        let text: String = (0..100).map(|n| format!("line {n}\n")).collect();
        lines.read(Some(text.as_bytes())).await;
        lines.read(Some(&b"password=hunter2abc\n\x1b[31mred"[..])).await;
        lines.read(None::<&[u8]>).await;
        let (kept, left_out) = lines.take();
        assert_eq!((kept.len(), left_out), (40, 62));
        assert_eq!(kept[37], "line 99");
        assert!(!kept[38].contains("hunter2abc") && kept[38].contains("***"), "{}", kept[38]);
        assert!(!kept[39].contains('\x1b') && kept[39].contains("red"), "{}", kept[39]);
    }

    #[tokio::test]
    async fn a_line_without_an_end_does_not_fill_the_memory() {
        let lines = Lines::default();
        lines.read(Some(&vec![b'x'; 1 << 20][..])).await;
        let (kept, left_out) = lines.take();
        assert!(kept.len() == 1 && left_out == 0, "{left_out}");
        assert!(kept[0].len() <= 4096);
    }

    #[tokio::test]
    async fn secrets_stay_hidden_in_cut_lines_between_colours_and_in_keys() {
        let lines = Lines::default();
        let long = format!("{}token=hunter2abc\nnext\n", "x ".repeat(2045));
        lines.read(Some(long.as_bytes())).await;
        lines.read(Some(&b"token\x1b[0m=hunter2abc\n"[..])).await;
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA0hunter2abc\n-----END RSA PRIVATE KEY-----\nafter";
        lines.read(Some(key.as_bytes())).await;
        let (kept, _) = lines.take();
        assert!(!kept.iter().any(|line| line.contains("hunter2") || line.contains("abc")), "{kept:?}");
        assert_eq!(kept[1], "next");
        assert_eq!(kept.last().unwrap(), "after");
    }
}
