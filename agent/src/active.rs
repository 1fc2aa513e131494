//! Nobody on call is left guessing: a file in `/run` and a line in syslog say what is in force and how to halt it.
//!
//! Only tells; what it cannot write is no reason to stop anything.

use std::{fmt::Write, os::unix::net::UnixDatagram, path::Path, time::Duration};

use firedrill_wire::{api::OpenOne, journal::State};

use crate::journal::replace;

/// The file's name in the run directory.
pub const FILE: &str = "active";
/// The command that puts everything back, here and now.
pub const HALT: &str = "firedrill-agent undo --all";

/// Writes what is in force, or removes the file where nothing is. `wall_minus_boot_us` maps ends to the wall clock.
///
/// # Errors
/// The file could not be written.
pub fn write(run_dir: &Path, open: &[OpenOne], wall_minus_boot_us: i128) -> std::io::Result<()> {
    let path = run_dir.join(FILE);
    if open.is_empty() {
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    replace(&path, text(open, wall_minus_boot_us).as_bytes(), 0o644)
}

fn text(open: &[OpenOne], wall_minus_boot_us: i128) -> String {
    let mut text = String::from("Firedrill breaks things on this host on purpose, right now.\n");
    for one in open {
        let ends = u64::try_from(i128::from(one.ends_boot_us) + wall_minus_boot_us).unwrap_or(0);
        let ends = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + Duration::from_micros(ends));
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\ninjection  {} ({}, {:?})\ndrill      {}\nrun        {}\noperator   {}\n",
            one.id, one.kind, one.state, one.about.drill, one.run, one.about.operator
        );
        if let Some(ticket) = &one.about.ticket {
            let _ = writeln!(text, "ticket     {ticket}");
        }
        let when = match one.state {
            State::Armed | State::Injecting => "by itself; later by as long as its start takes",
            _ => "at the latest, by itself",
        };
        let _ = writeln!(text, "ends       {ends} {when}");
        for effect in &one.effects {
            let _ = writeln!(text, "effect     {effect}");
        }
    }
    let _ = writeln!(text, "\nTo halt it: {HALT}");
    text
}

/// Sends a line to syslog, where there is one.
pub fn syslog(message: &str) {
    // Facility daemon (3), level notice (5).
    let line = format!("<{}>firedrill-agent[{}]: {message}", 3 * 8 + 5, std::process::id());
    if let Ok(socket) = UnixDatagram::unbound() {
        // A full syslog must not hold up a heal.
        let _ = socket.set_nonblocking(true);
        let _ = socket.send_to(line.as_bytes(), "/dev/log");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firedrill_wire::api::About;

    fn one() -> OpenOne {
        OpenOne {
            id: "r1-stop-1".parse().unwrap(),
            run: "r1".parse().unwrap(),
            kind: "service-stop".into(),
            state: State::InForce,
            ends_boot_us: 60_000_000,
            effects: vec!["stop checkout".into()],
            about: About { drill: "Friday".into(), operator: "alice".into(), ticket: Some("OPS-7".into()) },
            due: false,
        }
    }

    #[test]
    fn people_read_who_what_until_when_and_how_to_halt() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[one()], 1_000_000_000_000_000).unwrap();
        let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        for wanted in ["Friday", "r1-stop-1", "alice", "OPS-7", "2001-09-09T01:47:40Z", "stop checkout", HALT]
        {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
        write(dir.path(), &[], 0).unwrap();
        assert!(!dir.path().join(FILE).exists());
        write(dir.path(), &[], 0).unwrap();
    }
}
