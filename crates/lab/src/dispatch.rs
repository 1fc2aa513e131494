//! The binary plays every part in a lab: root, host, supervisor's child, agent. A hidden first argument selects the
//! part.
//!
//! Nothing here starts a thread before the process is known to be an ordinary one.

use std::{ffi::OsString, process::ExitCode};

use crate::{argv::HIDDEN, coordinator_ns, exec, host, root, shop};

/// Takes over if this process was started as a part of a lab. Returns `None` if it was not.
///
/// Call it first in `main`, before any thread exists. `agent` is the agent's `main`, for the hosts that run one; its
/// arguments are the command line, with the program's name first.
#[must_use]
pub fn dispatch(agent: fn(Vec<OsString>) -> ExitCode) -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != HIDDEN {
        return None;
    }
    let part = args.next().unwrap_or_default();
    let rest: Vec<OsString> = args.collect();
    let words: Vec<String> = rest.iter().map(|w| w.to_string_lossy().into_owned()).collect();
    let code = match part.to_str() {
        Some("root") => root::main(&words),
        Some("host") => host::main(&words),
        Some("coordinator-ns") => coordinator_ns::main(&words),
        Some("exec") => exec::main(&rest),
        Some("ready") => host::check::main(&words),
        Some("reboot") => host::reboot::main(&words),
        Some("checkout") => shop::checkout::main(&words),
        Some("edge") => shop::edge::main(&words),
        Some("agent") => agent([OsString::from("firedrill-agent")].into_iter().chain(rest).collect()),
        _ => {
            eprintln!("{HIDDEN} is how a lab starts its own parts, and {part:?} is none of them");
            ExitCode::from(2)
        }
    };
    Some(code)
}
