//! The last lines that a program writes, without what may be a secret.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use firedrill_wire::{
    hide,
    text::{TEXT_MOST, clean},
};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

/// Number of lines that are kept, the last.
const KEPT: usize = 40;
/// Maximum length of a line in bytes; a longer one is several.
const LONGEST: u64 = 1024;

/// The lines of both outputs of a program, in the order in which they were read.
#[derive(Default)]
pub(super) struct Lines(Mutex<(VecDeque<String>, u64)>);

impl Lines {
    /// Reads an output to its end. The program never waits for a reader.
    pub(super) async fn read(&self, output: Option<impl AsyncRead + Unpin>) {
        let Some(output) = output else { return };
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while let Ok(1..) = (&mut reader).take(LONGEST).read_until(b'\n', &mut line).await {
            let text = hide::line(String::from_utf8_lossy(&line).trim_end());
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.0.push_back(clean(&text, TEXT_MOST).into_owned());
            if kept.0.len() > KEPT {
                kept.0.pop_front();
                kept.1 += 1;
            }
            line.clear();
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
        assert!(kept.len() == 40 && left_out == 984, "{left_out}");
        assert!(kept.iter().all(|line| line.len() <= 1024));
    }
}
