//! Sends a signal that ends processes, and looks whether they have ended. All kinds that kill processes use it.

use std::{io, time::Duration};

use firedrill_wire::{
    Span,
    evidence::{Evidence, Seen},
    fault::Signal,
};

use crate::{
    host::process::{Handle, Name, alive},
    injection::{InjectError, Injected, once::Made},
};

/// Maximum time that `inject` waits for the processes to end before it answers. Processes that end later show in the
/// evidence.
const PATIENCE: Duration = Duration::from_secs(3);

/// Returns the signal in the form that system calls take.
const fn number(signal: Signal) -> rustix::process::Signal {
    use rustix::process::Signal as Kernel;
    match signal {
        Signal::Kill => Kernel::KILL,
        Signal::Term => Kernel::TERM,
        Signal::Int => Kernel::INT,
        Signal::Abrt => Kernel::ABORT,
        Signal::Hup => Kernel::HUP,
        Signal::Quit => Kernel::QUIT,
    }
}

/// Sends a signal to all processes at nearly the same time: opens handles of all of them first. Then waits for them to end,
/// for at most the hold and [`PATIENCE`].
///
/// # Errors
/// A process could not be opened or signalled, or none of them is there any more.
pub(super) fn send(names: &[Name], signal: Signal, hold: Span) -> Result<Made, InjectError> {
    let failed = |name: Name, error: io::Error| {
        InjectError(format!("cannot send {signal} to process {name}: {error}"))
    };
    let mut handles = Vec::new();
    for name in names {
        handles.extend(Handle::open(*name).map_err(|error| failed(*name, error))?);
    }
    if handles.is_empty() {
        return Err(InjectError(format!(
            "none of the {} processes that were prepared is there any more",
            names.len()
        )));
    }
    let mut sent = Vec::new();
    for handle in &handles {
        if handle.signal(number(signal)).map_err(|error| failed(handle.name(), error))? {
            // The CPU time does not matter for a process that is to end.
            sent.push((handle.name(), 0));
        }
    }
    let end = std::time::Instant::now() + PATIENCE.min(hold.0);
    let mut ended = 0;
    for handle in &handles {
        let left = end.saturating_duration_since(std::time::Instant::now());
        ended += usize::from(handle.ended_within(left).map_err(|error| failed(handle.name(), error))?);
    }
    let gone = names.len() - handles.len();
    let gone = if gone == 0 { String::new() } else { format!("; {gone} had gone before") };
    let detail = format!("sent {signal} to {} processes, {ended} have ended{gone}", sent.len());
    Ok(Made { injected: Injected { detail, undo: None }, processes: sent, ..Made::default() })
}

/// Looks whether all of these processes have ended.
pub(super) fn look(names: &[Name]) -> Evidence {
    let mut left = Vec::new();
    for name in names {
        match alive(*name) {
            Ok(None) => {}
            Ok(Some(stat)) => left.push(format!("{} ({})", name.pid, stat.comm)),
            Err(error) => {
                return Evidence {
                    in_force: Seen::Unknown,
                    exercised: Seen::Unknown,
                    count: None,
                    detail: format!("cannot look at process {name}: {error}"),
                };
            }
        }
    }
    let (seen, detail) = if names.is_empty() {
        (Seen::Unknown, "it is not known which processes were signalled".to_owned())
    } else if left.is_empty() {
        (Seen::Yes, format!("all {} processes have ended", names.len()))
    } else {
        let detail = format!("{} of {} processes live on: {}", left.len(), names.len(), left.join(", "));
        (Seen::No, detail)
    };
    Evidence { in_force: seen, exercised: seen, count: None, detail }
}
