//! A terminal for the live view that ignores failed writes. The library of the live view panics on a failed write, but
//! hosts have to be healed even if the terminal's window is gone.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use indicatif::TermLike;

use crate::terminal;

/// Standard error as the live view's terminal.
///
/// The library pads each line with blanks to the terminal's edge, where the next character wraps. A `^C` that the
/// terminal echoes there would begin a line that the library does not know of. So lines are ended here instead of
/// padded.
#[derive(Debug, Default)]
pub(super) struct Frail {
    /// Whether the line is full, so that the next text begins another.
    full: AtomicBool,
}

/// Returns the maximum width of lines; leaves room for a `^C`.
pub(super) fn width() -> u16 {
    let size = terminal_size::terminal_size_of(io::stderr());
    size.map_or(80, |(columns, _)| columns.0).saturating_sub(4).max(20)
}

/// Writes a text; ignores errors.
fn put(text: &str) -> io::Result<()> {
    terminal::err(format_args!("{text}"));
    Ok(())
}

/// Moves the cursor; `letter` is the final letter of the escape sequence for the direction.
fn move_by(cells: usize, letter: char) -> io::Result<()> {
    if cells > 0 { put(&format!("\u{1b}[{cells}{letter}")) } else { Ok(()) }
}

impl TermLike for Frail {
    fn width(&self) -> u16 {
        width()
    }
    fn height(&self) -> u16 {
        terminal_size::terminal_size_of(io::stderr()).map_or(24, |(_, rows)| rows.0)
    }
    fn move_cursor_up(&self, cells: usize) -> io::Result<()> {
        self.full.store(false, Ordering::Relaxed);
        move_by(cells, 'A')
    }
    fn move_cursor_down(&self, cells: usize) -> io::Result<()> {
        move_by(cells, 'B')
    }
    fn move_cursor_right(&self, cells: usize) -> io::Result<()> {
        move_by(cells, 'C')
    }
    fn move_cursor_left(&self, cells: usize) -> io::Result<()> {
        move_by(cells, 'D')
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.full.store(false, Ordering::Relaxed);
        put(&format!("{text}\n"))
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        // Only blanks: this is the padding to the edge.
        if text.bytes().all(|byte| byte == b' ') {
            self.full.store(true, Ordering::Relaxed);
            return Ok(());
        }
        if text != "\r" && self.full.load(Ordering::Relaxed) {
            put("\n")?;
        }
        self.full.store(false, Ordering::Relaxed);
        put(text)
    }
    fn clear_line(&self) -> io::Result<()> {
        self.full.store(false, Ordering::Relaxed);
        put("\r\u{1b}[2K")
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
