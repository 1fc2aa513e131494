//! Sets an interface up, and restores the entries (addresses, routes) that the kernel deleted when it went down. Never sets an interface
//! down.

use super::undone::{UndoError, Undone};
use crate::host::link::link_state::{Change, LinkState};

/// Sets it up, waits for the entries that the kernel makes again by itself, and makes the other entries. Does nothing if it is
/// up and complete. If the interface was removed, reports that and does nothing.
///
/// # Errors
/// It is down and could not be set up, an entry is still missing after some seconds, or its state could not be read.
pub fn apply(was: &LinkState) -> Result<Undone, UndoError> {
    let name = was.name();
    let Some(raised) = was.raise().map_err(|error| failed(name, &error.to_string()))? else {
        let detail = format!("interface {name} is gone");
        return Ok(Undone { foreign: vec![format!("{detail}: somebody removed it meanwhile")], detail });
    };
    let (made, removed) = was.put_back(&raised, &|| true).map_err(|error| failed(name, &error))?;
    let how = if raised.was_down { "was set up" } else { "was up already" };
    let detail = match made {
        0 => format!("interface {name} {how}, and has all that it had"),
        made => format!("interface {name} {how}, and {made} addresses and routes were put back"),
    };
    Ok(Undone { detail, foreign: removed.iter().map(|change| meanwhile(name, change)).collect() })
}

/// Returns a sentence on a change of the interface `name` by somebody else.
pub(super) fn meanwhile(name: &str, Change { what, how }: &Change) -> String {
    format!("{what} of {name} was {how} meanwhile; it is left so")
}

/// Returns the error of an interface that could not be put back, for the reason `why`.
pub(super) fn failed(name: &str, why: &str) -> UndoError {
    UndoError {
        what: format!("cannot put interface {name} back: {why}"),
        by_hand: format!(
            "as root: ip link set {name} up; then compare `ip addr` and `ip route` with another host"
        ),
        passing: true,
    }
}
