//! Where a plan is to be run: what only this machine has may be missing elsewhere.

/// The machine that a plan is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    /// This machine: everything that its probes need must exist here.
    This,
    /// Possibly another machine, which may have things that this one lacks.
    Any,
}
