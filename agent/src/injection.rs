//! An injection of any kind on this host: the request, the result of `prepare`, and the interface to the code of its kind.
//!
//! Knows no fault kind. The table of kinds is [`crate::fault::of`]; all other code uses [`Inject`].

mod basis;
mod called_off;
mod cgroup;
mod error;
mod inject;
pub(crate) mod once;
mod prepared;
mod traffic;

pub use basis::Basis;
pub(crate) use called_off::CalledOff;
pub use called_off::{call_off, is_called_off};
pub use cgroup::{Cgroup, Service};
pub use error::{InjectError, refuse};
pub use inject::{Inject, Injected};
pub use prepared::{Ask, Live, Prepared};
pub use traffic::{IptablesChains, Packets, Peers, RuleEngine, ShapeEngine};

use firedrill_wire::InjectionId;

use crate::host::Host;

/// Forgets an injection that is over, so that a later one with the same id is a new injection.
pub(crate) fn forget(host: &Host, id: &InjectionId) {
    once::forget(host, id);
    called_off::forget(host, id);
    host.flaps.forget(id);
}
