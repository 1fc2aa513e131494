//! Calls `reboot(2)` for rehearsals, in a host of a lab. Never calls it anywhere else.

use std::process::ExitCode;

use nix::sys::reboot::{RebootMode, reboot};

/// Entry point. The argument is `restart`, `halt` or `power-off`.
pub(crate) fn main(words: &[String]) -> ExitCode {
    let mode = match words {
        [word] if word == "restart" => RebootMode::RB_AUTOBOOT,
        [word] if word == "halt" => RebootMode::RB_HALT_SYSTEM,
        [word] if word == "power-off" => RebootMode::RB_POWER_OFF,
        _ => {
            eprintln!("say restart, halt or power-off");
            return ExitCode::from(2);
        }
    };
    // Outside of a lab the call would reboot the machine. In a host of a lab, process 1 is named `lab-host`.
    if std::fs::read_to_string("/proc/1/comm").map_or(true, |name| name.trim() != "lab-host") {
        eprintln!("this is not a host of a lab; not rebooting it");
        return ExitCode::FAILURE;
    }
    match reboot(mode) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("failed to call reboot(2): {error}");
            ExitCode::FAILURE
        }
    }
}
