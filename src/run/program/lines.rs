//! The last lines that a program writes, without what may be a secret.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use firedrill_wire::{
    hide::{HIDDEN, KeyBlock},
    logs::shown,
};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

/// Number of lines that are kept, the last.
const KEPT: usize = 40;
/// Maximum length of a line in bytes; the rest of a longer one is left out.
const LONGEST: u64 = 4096;

/// The lines of both outputs of a program, in the order in which they were read.
#[derive(Default)]
pub(super) struct Lines(Mutex<(VecDeque<String>, u64)>);

impl Lines {
    /// Reads an output to its end. The program never waits for a reader.
    pub(super) async fn read(&self, output: Option<impl AsyncRead + Unpin>) {
        let Some(output) = output else { return };
        let mut reader = BufReader::new(output);
        let (mut line, mut key) = (Vec::new(), KeyBlock::default());
        while let Ok(1..) = (&mut reader).take(LONGEST).read_until(b'\n', &mut line).await {
            let text = line.trim_ascii_end();
            self.keep(if key.takes(text) { HIDDEN.to_owned() } else { shown(text) });
            // The rest is left out: as a line of its own, a secret that goes on there would not be recognised.
            while !line.is_empty() && !line.ends_with(b"\n") {
                line.clear();
                if (&mut reader).take(LONGEST).read_until(b'\n', &mut line).await.is_err() {
                    return;
                }
            }
            line.clear();
        }
    }

    fn keep(&self, text: String) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0.push_back(text);
        if kept.0.len() > KEPT {
            kept.0.pop_front();
            kept.1 += 1;
        }
    }

    /// Takes the lines, and the number of those that were left out before them.
    pub(super) fn take(&self) -> (Vec<String>, u64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.0.drain(..).collect(), kept.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_lines_are_kept_without_secrets_and_marks_of_terminals() {
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
    async fn no_secret_is_shown_by_a_split_line_by_colours_or_by_a_key() {
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
