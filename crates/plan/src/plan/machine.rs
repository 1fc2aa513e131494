//! The machine that a plan is made for. Files and variables of this machine may be missing on another one.

/// The machine that a plan is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    /// This machine: everything that its probes need must exist here.
    This,
    /// Possibly another machine, which may have things that this one lacks.
    Any,
}
