//! A terminal that may go away. The live view's library takes a failed write for a bug; here it is nothing at all, because
//! hosts have to be healed whoever closed the window.

use std::io;

use indicatif::TermLike;

use crate::terminal;

/// Standard error, as the live view's lines see it.
#[derive(Debug)]
pub(super) struct Frail;

/// The width that lines may have. Lines are filled up to it, so it leaves room for the `^C` that a terminal echoes: one
/// that wraps cannot be taken away.
pub(super) fn width() -> u16 {
    let size = terminal_size::terminal_size_of(io::stderr());
    size.map_or(80, |(columns, _)| columns.0).saturating_sub(4).max(20)
}

fn put(text: &str) -> io::Result<()> {
    terminal::err(format_args!("{text}"));
    Ok(())
}

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
        put(&format!("{text}\n"))
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        put(text)
    }
    fn clear_line(&self) -> io::Result<()> {
        put("\r\u{1b}[2K")
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
