//! Continues a process that the agent stopped. Never signals another process that has the same pid.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::undone::{UndoError, Undone};
use crate::host::{
    Host,
    process::{Handle, Name, alive},
};

/// Maximum time until the process runs after SIGCONT: the kernel may not schedule it at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Continues it if it still exists and is still stopped. If it is gone or running, nothing is done.
///
/// # Errors
/// It exists, is stopped and could not be continued, or its state could not be read.
pub fn apply(_host: &Host, pid: i32, start_ticks: u64) -> Result<Undone, UndoError> {
    let name = Name { pid, start_ticks };
    let failed = |error: io::Error| UndoError {
        what: format!("cannot continue process {name}: {error}"),
        by_hand: format!("as root: kill -CONT {pid}"),
        passing: error.kind() != io::ErrorKind::PermissionDenied,
    };
    let done = |detail: String| Ok(Undone { detail, foreign: Vec::new() });
    let Some(handle) = Handle::open(name).map_err(failed)? else {
        return done(format!("process {name} is gone"));
    };
    let end = Instant::now() + PATIENCE;
    let (mut sent, mut was_stopped) = (false, false);
    loop {
        match alive(name).map_err(failed)? {
            None => return done(format!("process {name} is gone")),
            Some(stat) if stat.is_stopped() => {
                if Instant::now() >= end {
                    return Err(failed(io::Error::other("it was sent SIGCONT and is stopped all the same")));
                }
                was_stopped = true;
                sent = handle.signal(Signal::CONT).map_err(failed)?;
            }
            Some(_) if was_stopped => return done(format!("process {name} was continued")),
            Some(_) if sent => return done(format!("process {name} runs")),
            // It runs, but may be about to stop: SIGCONT also cancels a stop signal that has not taken effect yet.
            Some(_) => sent = handle.signal(Signal::CONT).map_err(failed)?,
        }
        thread::sleep(Duration::from_millis(1));
    }
}
