//! Output of the command line on standard output and standard error.
//!
//! Never panics and never ends the program: a closed pipe (`| head`), a closed terminal and a full disk must not keep a host from being
//! healed. Lost output is remembered, for the exit code of verbs whose only result is their output.

use std::{
    fmt::Arguments,
    io::{self, ErrorKind, Write},
    sync::atomic::{AtomicBool, Ordering},
};

/// Whether output for standard output was lost.
static LOST: AtomicBool = AtomicBool::new(false);

/// Prints a text on standard output.
pub(crate) fn out(text: Arguments<'_>) {
    if is_lost(&mut io::stdout().lock(), text) {
        LOST.store(true, Ordering::Relaxed);
    }
}

/// Prints a text on standard error.
pub(crate) fn err(text: Arguments<'_>) {
    // There is no other place to report that this failed.
    let _ = is_lost(&mut io::stderr().lock(), text);
}

/// Whether output was lost that a reader still wanted.
pub(crate) fn lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// Writes a text. Returns whether it was lost. If the reader has closed the pipe, the text does not count as lost: the reader has seen
/// enough.
fn is_lost(to: &mut impl Write, text: Arguments<'_>) -> bool {
    let written = to.write_fmt(text).and_then(|()| to.flush());
    written.is_err_and(|error| error.kind() != ErrorKind::BrokenPipe)
}

/// `println!` that cannot panic.
macro_rules! outln {
    ($($arg:tt)*) => { $crate::terminal::out(format_args!("{}\n", format_args!($($arg)*))) };
}

/// `eprintln!` that cannot panic.
macro_rules! errln {
    ($($arg:tt)*) => { $crate::terminal::err(format_args!("{}\n", format_args!($($arg)*))) };
}
