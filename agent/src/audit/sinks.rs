//! Sends requests to journald by its native protocol, or to syslog if there is no journald. Never waits, never fails.

use std::{
    io,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
};

use firedrill_wire::text::{TEXT_MOST, clean};

use super::record::{Outcome, Request};

/// The id of all audit records in journald: `journalctl MESSAGE_ID=5d7f4b6c0e6a4f0d9c1a8a2b3f4e5d6c`.
const MESSAGE_ID: &str = "5d7f4b6c0e6a4f0d9c1a8a2b3f4e5d6c";
/// Syslog's facility for security messages.
const AUTHPRIV: u8 = 10;
/// Syslog's level of warnings.
const WARNING: u8 = 4;
/// Syslog's level of normal but important messages.
const NOTICE: u8 = 5;

/// The sockets to which requests are sent.
#[derive(Debug)]
pub(super) struct Sinks {
    pub(super) journald: PathBuf,
    pub(super) syslog: PathBuf,
}

impl Default for Sinks {
    fn default() -> Self {
        Self { journald: "/run/systemd/journal/socket".into(), syslog: "/dev/log".into() }
    }
}

impl Sinks {
    /// Sends a request to journald, or to syslog if there is no journald.
    pub(super) fn send(&self, request: &Request) {
        if send_to(&self.journald, fields(request).as_bytes()).is_err() {
            let _ = send_to(&self.syslog, line(request).as_bytes());
        }
    }
}

fn send_to(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    // A listener that does not read must not delay a request.
    socket.set_nonblocking(true)?;
    socket.send_to(bytes, path).map(drop)
}

/// Returns the syslog level for a result.
const fn level(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Accepted => NOTICE,
        Outcome::Refused => WARNING,
    }
}

/// Formats `systemd.journal-fields(7)`: one field per line. No value has a line break.
fn fields(request: &Request) -> String {
    let more = request.more.to_string();
    let priority = level(request.outcome).to_string();
    let facility = AUTHPRIV.to_string();
    let message = request.to_string();
    let fields = [
        ("MESSAGE", message.as_str()),
        ("MESSAGE_ID", MESSAGE_ID),
        ("PRIORITY", &priority),
        ("SYSLOG_FACILITY", &facility),
        ("SYSLOG_IDENTIFIER", "firedrill-agent"),
        ("FIREDRILL_WHO", &request.who),
        ("FIREDRILL_CERTIFICATE", &request.certificate),
        ("FIREDRILL_FROM", &request.from),
        ("FIREDRILL_WHAT", &request.what),
        ("FIREDRILL_RUN", &request.run),
        ("FIREDRILL_OUTCOME", request.outcome.word()),
        ("FIREDRILL_CODE", &request.code),
        ("FIREDRILL_DETAIL", &request.detail),
        ("FIREDRILL_NOT_LISTED", if request.more == 0 { "" } else { &more }),
    ];
    let mut text = String::new();
    for (key, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
        text.push_str(&format!("{key}={}\n", clean(value, TEXT_MOST)));
    }
    text
}

/// Formats a line for syslog, with fields of the form `key="value"`.
fn line(request: &Request) -> String {
    let fields = [
        ("who", &request.who),
        ("certificate", &request.certificate),
        ("from", &request.from),
        ("what", &request.what),
        ("run", &request.run),
        ("outcome", &request.outcome.word().to_owned()),
        ("code", &request.code),
        ("detail", &request.detail),
    ];
    let fields: Vec<String> = fields
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!("{key}={:?}", clean(value, TEXT_MOST)))
        .collect();
    // The priority of a syslog line is 8 times the facility plus the level.
    let priority = AUTHPRIV * 8 + level(request.outcome);
    format!("<{priority}>firedrill-agent[{}]: audit {}", std::process::id(), fields.join(" "))
}
