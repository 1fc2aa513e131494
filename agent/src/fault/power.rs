//! The common part of `host-reboot` and `host-poweroff`: the host goes down at once, as by a power cut.
//!
//! It stops no service, flushes no data and closes no connection first. The journal was synced before this code runs. In a
//! PID namespace the kernel ends that namespace instead of the machine.

use std::io;

use firedrill_wire::{
    RefusalCode,
    api::{Claim, Problem},
    evidence::{Evidence, Seen},
};

use crate::{
    host::power::{Down, Power},
    injection::{Basis, InjectError, Injected, Live, Prepared, refuse},
};

/// Prepares either of the two kinds. `effect` is the sentence that says what will happen.
pub(super) fn prepare(
    power: &dyn Power,
    host: &str,
    effect: String,
    mut notes: Vec<String>,
) -> Result<Prepared, Problem> {
    let unreadable = |error: io::Error| {
        refuse(RefusalCode::Unreadable, format!("cannot tell whether {host} may be rebooted: {error}"), "")
    };
    if let Some(why) = power.forbidden().map_err(unreadable)? {
        return Err(refuse(
            RefusalCode::MayNotReboot,
            format!("the agent on {host} may not call reboot(2): {why}"),
            "run the agent as root on the host itself, or leave this host out",
        ));
    }
    if !power.is_machine().map_err(unreadable)? {
        notes.push(
            "the agent runs in a PID namespace: only that namespace ends, not the machine under it".into(),
        );
    }
    notes.push(
        "nothing is stopped or flushed first: what is not on disk yet is lost, as with a power cut".into(),
    );
    Ok(Prepared {
        claims: vec![Claim { what: "host:power".into(), shared: false }],
        effects: vec![effect],
        undo: Vec::new(),
        switches: Vec::new(),
        notes,
        basis: Basis::Boot(power.boot().map_err(unreadable)?),
    })
}

/// Takes the host down. Does not return if the kernel obeys.
pub(super) fn call(power: &dyn Power, live: &Live, how: Down) -> Result<Injected, InjectError> {
    let now =
        power.boot().map_err(|error| InjectError(format!("cannot tell which boot this is: {error}")))?;
    if now != *live.prepared.basis.boot()? {
        // A second call also ends here, because the first one has rebooted the host.
        return Err(InjectError("the host has booted since this was prepared; nothing was done".into()));
    }
    match power.take_down(how) {
        Err(error) => Err(InjectError(format!("the kernel refused reboot(2): {error}"))),
        // The type of success has no values, because the call does not return then.
        Ok(never) => match never {},
    }
}

/// Looks whether the host went down since the injection was prepared.
pub(super) fn evidence(power: &dyn Power, live: &Live) -> Evidence {
    let before = match live.prepared.basis.boot() {
        Ok(before) => before,
        Err(error) => return error.unseen(),
    };
    let (seen, detail) = match power.boot() {
        Ok(now) if now == *before => (Seen::No, "the host is still in the boot it was in".to_owned()),
        Ok(_) => (Seen::Yes, "the host has booted since".to_owned()),
        Err(error) => (Seen::Unknown, format!("cannot tell which boot this is: {error}")),
    };
    Evidence { in_force: seen, exercised: seen, count: None, detail }
}

#[cfg(test)]
mod tests;
