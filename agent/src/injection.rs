//! One injection on this host, whatever its kind: what was asked, what was prepared, and the code that makes the effect.
//!
//! Knows no fault kind. The table of kinds is [`crate::fault::of`]; everything else goes by [`Inject`].

mod called_off;
mod inject;
pub(crate) mod once;
mod prepared;

pub use called_off::{call_off, is_called_off};
pub use inject::{Inject, InjectError, Injected, refuse};
pub use prepared::{Ask, Live, Prepared};

use firedrill_wire::InjectionId;

/// Forgets an injection that is over. A later one with the same id begins anew.
pub(crate) fn forget(id: &InjectionId) {
    once::forget(id);
    called_off::forget(id);
}
