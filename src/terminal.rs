//! Output for people and programs on standard output and standard error.
//!
//! Never panics and never stops anything: a closed pipe (`| head`), a closed terminal and a full disk must not keep
//! hosts from being healed. Lost output is remembered for the exit code.

use std::{
    fmt::Arguments,
    io::{ErrorKind, Write as _},
    sync::atomic::{AtomicBool, Ordering},
};

/// Whether output for standard output was lost, other than by a reader that closed its pipe.
static LOST: AtomicBool = AtomicBool::new(false);

/// Prints on standard output; `anstream` removes colours if the output is not a terminal or the user wants none.
pub(crate) fn out(text: Arguments<'_>) {
    let mut to = anstream::stdout().lock();
    let written = to.write_fmt(text).and_then(|()| to.flush());
    // A reader that closed its pipe has read enough: that is no error.
    if written.is_err_and(|error| error.kind() != ErrorKind::BrokenPipe) {
        LOST.store(true, Ordering::Relaxed);
    }
}

/// Prints on standard error, with colours as in [`out`].
pub(crate) fn err(text: Arguments<'_>) {
    let _ = anstream::stderr().lock().write_fmt(text);
}

/// Whether output was lost, so that the exit code must say so.
pub(crate) fn lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// Returns text that may come from other machines or people, with visible signs in place of the characters that control a terminal or
/// reorder its text. Line breaks stay; a tab becomes four spaces.
pub(crate) fn harmless(text: &str) -> String {
    firedrill_wire::text::clean_lines(text)
}

/// `println!` that cannot panic.
macro_rules! outln {
    ($($arg:tt)*) => { $crate::terminal::out(format_args!("{}\n", format_args!($($arg)*))) };
}

/// `eprintln!` that cannot panic.
macro_rules! errln {
    ($($arg:tt)*) => { $crate::terminal::err(format_args!("{}\n", format_args!($($arg)*))) };
}
