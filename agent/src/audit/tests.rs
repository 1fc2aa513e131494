//! Requests on their way to journald, to syslog and to the files.

use std::{
    os::unix::net::UnixDatagram,
    time::{Duration, Instant},
};

use firedrill_wire::RefusalCode;

use super::*;

fn socket(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket
}

fn receive(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 65536];
    let length = socket.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

/// A request whose detail looks like another field, and has a control character.
fn forging_request() -> Request {
    let request = Request::accepted("mallory", "prepare")
        .refused(&RefusalCode::NotAllowed, "no rule\nFIREDRILL_WHO=alice \u{1b}[2J");
    Request { certificate: "4f01".into(), run: "r-1".into(), from: "10.0.0.9:5000".into(), ..request }
}

/// Calls `find` again and again until it returns something. Panics after a minute.
fn wait_for<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not come within a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn journald_gets_fields_that_no_text_can_forge() {
    let dir = tempfile::tempdir().unwrap();
    let sinks = Sinks { journald: dir.path().join("journald"), syslog: dir.path().join("none") };
    let journald = socket(&sinks.journald);
    let audit = Audit::with(dir.path(), sinks);
    audit.request(forging_request());
    let fields = receive(&journald);
    for field in [
        "FIREDRILL_WHO=mallory",
        "FIREDRILL_CERTIFICATE=4f01",
        "FIREDRILL_WHAT=prepare",
        "FIREDRILL_RUN=r-1",
        "FIREDRILL_OUTCOME=refused",
        "FIREDRILL_CODE=not-allowed",
        "FIREDRILL_FROM=10.0.0.9:5000",
        "PRIORITY=4",
        "SYSLOG_IDENTIFIER=firedrill-agent",
    ] {
        assert_eq!(fields.lines().filter(|line| *line == field).count(), 1, "{field} in {fields}");
    }
    assert_eq!(fields.lines().filter(|line| line.starts_with("FIREDRILL_WHO")).count(), 1, "{fields}");
    assert!(!fields.contains('\u{1b}'), "{fields}");
    let kept = wait_for("the entry in the file", || read(dir.path()).unwrap().into_iter().next());
    assert!(matches!(kept, Entry::Request(request) if request.code == "not-allowed" && request.run == "r-1"));
}

#[test]
fn without_journald_syslog_gets_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let sinks = Sinks { journald: dir.path().join("none"), syslog: dir.path().join("log") };
    let syslog = socket(&sinks.syslog);
    Audit::with(dir.path(), sinks).request(forging_request());
    let line = receive(&syslog);
    assert!(
        line.starts_with("<84>firedrill-agent[")
            && line.contains("audit who=\"mallory\" certificate=\"4f01\""),
        "{line}"
    );
    assert!(line.contains("outcome=\"refused\"") && !line.contains('\n'), "{line}");
}

#[test]
fn a_full_socket_and_an_unusable_directory_delay_no_request() {
    let dir = tempfile::tempdir().unwrap();
    let sinks = Sinks { journald: dir.path().join("full"), syslog: dir.path().join("none") };
    // Nobody reads from this socket, so its queue is full after a few hundred messages.
    let _unread = socket(&sinks.journald);
    // The state directory is a file, so nothing can be written.
    let state = dir.path().join("state");
    std::fs::write(&state, "").unwrap();
    let audit = Audit::with(&state, sinks);
    let begun = Instant::now();
    for n in 0..3000 {
        audit.request(Request { run: format!("r{n}"), ..Request::accepted("olga", "arm") });
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}
