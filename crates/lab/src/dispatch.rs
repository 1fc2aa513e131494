//! Selects the part of a lab that this process is. The same binary runs as every part: the lab's root process, a host, a service, the
//! agent. A hidden first argument names the part.
//!
//! Never starts a thread before it is known that the process is not a part of a lab: some parts must have a single thread.

use std::{ffi::OsString, process::ExitCode};

use crate::{argv::HIDDEN, coordinator_ns, exec, host, root, shop};

/// Runs the part of a lab that this process was started as, and returns its exit code. Returns `None` if the process is no part of a lab.
///
/// Call this first in `main`, before any thread exists. `agent` is the `main` of the agent; its arguments are the command line, with the
/// program's name first.
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
