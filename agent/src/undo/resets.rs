//! Ends the resets of connections. Only the process that makes them can stop them; they end when that process ends. Never resets a
//! connection.

use firedrill_wire::InjectionId;

use super::undone::Undone;
use crate::host::Host;

/// Stops the resets if this process makes them. Otherwise there is nothing to do: the process that made them has died.
#[must_use]
pub fn apply(host: &Host, injection: &InjectionId) -> Undone {
    let detail = match host.resets.stop(injection) {
        Some(reset) => format!("no more connections are reset; {reset} were"),
        None => "connections are not reset by this process; that ends with its owner".to_owned(),
    };
    Undone { detail, foreign: Vec::new() }
}
