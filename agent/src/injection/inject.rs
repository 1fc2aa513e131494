//! The interface to the code of a fault kind, which prepares an effect, makes it, and looks at it. The undo is data, and no
//! part of this interface.

use firedrill_wire::{Span, api::Problem, evidence::Evidence};

use super::{
    error::InjectError,
    prepared::{Ask, Live, Prepared},
};
use crate::{host::Host, undo::Undo};

/// The result of making the effect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Injected {
    /// A description, for people, of what was done.
    pub detail: String,
    /// A more exact undo than the prepared one, if more is known once the effect is made. It is journaled in place of
    /// the prepared one.
    pub undo: Option<Vec<Undo>>,
}

/// One kind of fault.
pub trait Inject: Send + Sync {
    /// Reads only. Refuses the request, or returns what the injection claims, what it will do, and exactly how that is
    /// undone. The supervisor has already checked that the parameters are valid ([`firedrill_wire::Fault::invalid`]).
    ///
    /// # Errors
    /// The refusal.
    fn prepare(&self, host: &Host, ask: &Ask) -> Result<Prepared, Problem>;

    /// Makes, shortly before the start, everything that the effect needs and that has no effect by itself. The start
    /// itself is then one small step, at the same moment on every host. Optional: [`Inject::inject`] must work without
    /// it. The same undo puts back what is made here, also if the start never comes.
    ///
    /// # Errors
    /// Something could not be made. This ends nothing, because `inject` tries it again.
    fn stage(&self, _host: &Host, _live: &Live) -> Result<(), InjectError> {
        Ok(())
    }

    /// Makes the effect. Must be safe to call twice. Stops waiting as soon as [`is_called_off`](super::is_called_off) returns true.
    ///
    /// # Errors
    /// The effect was not made, or only in part. The part that was made stays until the undo.
    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError>;

    /// Looks whether the effect is there, and whether it was exercised: whether a packet, a connection or another thing has
    /// been affected by it.
    fn evidence(&self, host: &Host, live: &Live) -> Evidence;

    /// Moves the kernel's own switch, because the lease was renewed. It is called often. Does nothing if the kernel has
    /// no switch for this fault.
    ///
    /// # Errors
    /// The kernel's switch could not be moved, for example because it has fired already.
    fn renew(&self, _host: &Host, _live: &Live, _lease: Span) -> Result<(), InjectError> {
        Ok(())
    }
}
