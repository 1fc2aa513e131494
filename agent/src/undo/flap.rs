//! Ends the flapping of an interface, then sets it up and restores its entries.
//!
//! The flapping has ended before the interface is examined, so the agent never takes it down afterwards.

use firedrill_wire::InjectionId;

use super::{
    link,
    undone::{UndoError, Undone},
};
use crate::host::{
    Host,
    link::{CLAIMED, link_state::LinkState},
};

/// Stops the thread that makes the interface flap, and waits for its end. If this process has no such thread, the process that had it
/// has died. Then sets the interface up, unless somebody else set it down in an up phase.
///
/// # Errors
/// The same as for [`link::apply`]; or the interface could not be read.
pub fn apply(host: &Host, injection: &InjectionId, was: &LinkState) -> Result<Undone, UndoError> {
    let name = was.name();
    let stopped = host.flaps.stop(injection).map_err(|error| {
        link::failed(name, &format!("cannot see whether somebody else has set it down: {error}"))
    })?;
    let Some(stopped) = stopped else { return link::apply(was) };
    if stopped.left_down {
        let detail = format!("interface {name} was set down by somebody else while it was up");
        let foreign = CLAIMED.map(|class| format!("{class}:{name}: {detail}; it is left so"));
        return Ok(Undone { detail, foreign: foreign.to_vec() });
    }
    let mut undone = link::apply(&stopped.was)?;
    undone.detail.push_str(&format!("; it had gone down {} times", stopped.downs));
    for change in stopped.changes.iter().map(|change| link::meanwhile(name, change)) {
        if !undone.foreign.contains(&change) {
            undone.foreign.push(change);
        }
    }
    Ok(undone)
}
