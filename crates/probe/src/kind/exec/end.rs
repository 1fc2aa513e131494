//! The end of a program, as it is known where it ran.

/// The end of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, with this exit code.
    Exit(u8),
    /// By this signal.
    Signal(u8),
}
