//! Firedrill's root daemon. It injects faults on its own host and always puts them back, whoever dies.
//!
//! The kernel is spoken to over netlink and `/proc`; no shell is ever run. Everything below `fault`, `undo` and `host`
//! is blocking code without a runtime, so that the guardian's helper, which has none, runs the same undo.

pub mod control;
pub mod fault;
pub mod host;
pub mod service;
pub mod snapshot;
#[cfg(feature = "testing")]
pub mod testing;
pub mod serve;
pub mod undo;
