//! Tells people on call which injections are in force and how to halt them, by a file in `/run` and a line in syslog.
//!
//! Only informs: nothing waits for these texts, and a text that cannot be written stops nothing.

use std::{fmt::Write, os::unix::net::UnixDatagram, path::Path, time::Duration};

use firedrill_wire::{
    api::OpenOne,
    journal::State,
    text::{NAME_MOST, TEXT_MOST, clean, clean_lines},
};

use crate::journal::replace;

/// The file's name in the run directory.
pub const FILE: &str = "active";
/// The command that undoes everything at once.
pub const HALT: &str = "firedrill-agent undo --all";

/// Writes the list of injections in force, or removes the file if there are none. `wall_minus_boot_us` is the wall clock
/// minus `CLOCK_BOOTTIME`, in microseconds; it converts the times at which injections end.
///
/// # Errors
/// The file could not be written or removed.
pub fn write(run_dir: &Path, open: &[OpenOne], wall_minus_boot_us: i128) -> std::io::Result<()> {
    let path = run_dir.join(FILE);
    if open.is_empty() {
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    replace(&path, clean_lines(&text(open, wall_minus_boot_us)).as_bytes(), 0o644)
}

/// Returns the content of the file. It may still have control characters.
fn text(open: &[OpenOne], wall_minus_boot_us: i128) -> String {
    let mut text = String::from("Firedrill breaks things on this host on purpose, right now.\n");
    for injection in open {
        let ends = u64::try_from(i128::from(injection.ends_boot_us) + wall_minus_boot_us).unwrap_or(0);
        let ends = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + Duration::from_micros(ends));
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\ninjection  {} ({}, {:?})\ndrill      {}\nrun        {}\noperator   {}\n",
            injection.id,
            injection.kind,
            injection.state,
            clean(&injection.about.drill, NAME_MOST),
            injection.run,
            clean(&injection.about.operator, NAME_MOST)
        );
        if let Some(ticket) = &injection.about.ticket {
            let _ = writeln!(text, "ticket     {}", clean(ticket, NAME_MOST));
        }
        let when = match injection.state {
            // The hold is counted from the moment at which the fault is in force.
            State::Armed | State::Injecting => "by itself, or later by the time that its start takes",
            _ => "at the latest, by itself",
        };
        let _ = writeln!(text, "ends       {ends} {when}");
        for effect in &injection.effects {
            let _ = writeln!(text, "effect     {}", clean(effect, TEXT_MOST));
        }
    }
    let _ = writeln!(text, "\nTo halt it: {HALT}");
    text
}

/// Sends a line to syslog, if this host has one. Never waits.
pub fn syslog(message: &str) {
    // The priority of a syslog line is 8 times the facility, here daemon (3), plus the level, here notice (5).
    let message = clean(message, TEXT_MOST);
    let line = format!("<{}>firedrill-agent[{}]: {message}", 3 * 8 + 5, std::process::id());
    if let Ok(socket) = UnixDatagram::unbound() {
        // A full syslog must not delay an undo.
        let _ = socket.set_nonblocking(true);
        let _ = socket.send_to(line.as_bytes(), "/dev/log");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firedrill_wire::api::About;

    fn injection() -> OpenOne {
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
    fn names_from_other_people_add_no_lines_and_no_control_characters() {
        let dir = tempfile::tempdir().unwrap();
        let evil = OpenOne {
            effects: vec!["stop \u{1b}]0;owned\u{7} x".into()],
            about: About {
                drill: "Friday\n\nTo halt it: rm -rf /".into(),
                operator: "\u{202e}ecila".into(),
                ticket: Some("T\0\u{9b}2J".into()),
            },
            ..injection()
        };
        write(dir.path(), &[evil], 0).unwrap();
        let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert!(text.chars().all(|c| c == '\n' || firedrill_wire::text::is_plain(c)), "{text:?}");
        assert_eq!(text.lines().filter(|line| line.starts_with("To halt it")).count(), 1, "{text}");
    }

    #[test]
    fn the_file_has_drill_operator_end_effects_and_the_command_to_halt() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[injection()], 1_000_000_000_000_000).unwrap();
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
