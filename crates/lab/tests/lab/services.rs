//! Tests that a host's supervisor has runit's files and behaviour, as the agent's driver expects them.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use super::common::{eventually, host, name, root_of, up};
use firedrill_lab::{HIDDEN, Lab, LabSpec, SELF_EXE, ServiceSpec};

/// The state in a status file: no process runs.
pub(crate) const DOWN: u8 = 0;
/// The state in a status file: the process runs.
pub(crate) const RUNS: u8 = 1;

/// A service of the host `app`, accessed by the files of its supervisor.
pub(crate) struct Service(PathBuf);

impl Service {
    /// Returns the service of that name.
    pub(crate) fn of(lab: &Lab, name: &str) -> Self {
        Self(root_of(lab, "app").join("run/service").join(name).join("supervise"))
    }

    /// Opens the pipe for commands; an error if no supervisor reads it.
    fn control(&self) -> std::io::Result<File> {
        OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(self.0.join("control"))
    }

    /// Sends a command of one letter.
    pub(crate) fn send(&self, command: u8) {
        self.control().unwrap().write_all(&[command]).unwrap();
    }

    /// Whether the process is paused, by the status file.
    fn is_paused(&self) -> bool {
        fs::read(self.0.join("status")).unwrap()[16] == 1
    }

    /// Returns the state and the wanted state as in the status file, and the pid. The places are those of runit's file.
    fn status(&self) -> (u8, u8, u32) {
        let bytes = fs::read(self.0.join("status")).unwrap();
        assert_eq!(bytes.len(), 20);
        (bytes[19], bytes[17], u32::from_le_bytes(bytes[12..16].try_into().unwrap()))
    }

    /// Waits until the status file has this state and this wanted state. Returns the pid.
    pub(crate) fn wait(&self, state: u8, want: u8) -> u32 {
        eventually(&format!("state {state}, want {}", char::from(want)), || {
            let (s, w, pid) = self.status();
            (s == state && w == want).then_some(pid)
        })
    }
}

/// Returns a lab with a host `app` of three services: one that runs, one that has to be started, and one that ends at once.
fn spec(test: &str) -> LabSpec {
    const STARTED: bool = false;
    const NOT_STARTED: bool = true;
    let service = |name: &str, words: &[&str], down| ServiceSpec {
        name: name.into(),
        argv: [SELF_EXE, HIDDEN].iter().chain(words).map(ToString::to_string).collect(),
        down,
        ..ServiceSpec::default()
    };
    let mut app = host("app", "r", &["10.0.0.1"]);
    app.services = vec![
        service("checkout", &["checkout"], STARTED),
        service("asleep", &["checkout", "--port", "8081", "--book", "/var/lib/other"], NOT_STARTED),
        service("broken", &["checkout", "--port", "nonsense"], STARTED),
    ];
    LabSpec::new(name(test), vec![app])
}

#[test]
fn services_obey_their_control_files() {
    let Some(lab) = up(&spec("control")) else { return };
    let checkout = Service::of(&lab, "checkout");
    let first = checkout.wait(RUNS, b'u');
    assert!(first > 1);
    checkout.send(b'd');
    assert_eq!(checkout.wait(DOWN, b'd'), 0);
    checkout.send(b'u');
    let second = checkout.wait(RUNS, b'u');
    assert_ne!(second, first);
    checkout.send(b't');
    let third = eventually("restarted after TERM", || {
        let (state, _, pid) = checkout.status();
        (state == RUNS && pid != second).then_some(pid)
    });
    checkout.send(b'p');
    eventually("paused", || checkout.is_paused().then_some(()));
    checkout.send(b'c');
    eventually("continued", || (!checkout.is_paused()).then_some(()));
    assert_eq!(checkout.status().2, third);
    assert_eq!(fs::read_to_string(checkout.0.join("stat")).unwrap(), "run\n");
    // The earlier processes were asked to end as soon as they ran, perhaps before they listened. The last one was not.
    eventually("its log says that it listens", || {
        lab.log("app", "checkout").unwrap().contains("listening on port 8080").then_some(())
    });

    let asleep = Service::of(&lab, "asleep");
    assert_eq!(asleep.wait(DOWN, b'd'), 0, "the service runs in spite of its file `down`");
    asleep.send(b'o');
    asleep.wait(RUNS, b'd');
    asleep.send(b'k');
    asleep.wait(DOWN, b'd');
}

#[test]
fn a_service_that_crashed_is_started_again_but_at_most_once_a_second() {
    let Some(lab) = up(&spec("crash")) else { return };
    let checkout = Service::of(&lab, "checkout");
    let mut pid = checkout.wait(RUNS, b'u');
    checkout.send(b'k');
    pid = eventually("restarted after KILL", || {
        let (state, _, now) = checkout.status();
        (state == RUNS && now != pid).then_some(now)
    });
    assert!(pid > 1);
    // The service `broken` ends right after its start. It is started at most once a second, with some tolerance for a busy machine.
    let begun = Instant::now();
    let starts = || lab.log("app", "broken").unwrap().matches("nonsense").count();
    let before = starts();
    // The first new line may come from an earlier start whose process was slow.
    eventually("three more starts", || (starts() >= before + 4).then_some(()));
    assert!(begun.elapsed() > Duration::from_millis(1800), "three starts in {:?}", begun.elapsed());
}

#[test]
fn a_supervisor_that_exits_shows_and_comes_back() {
    let Some(lab) = up(&spec("exit")) else { return };
    let checkout = Service::of(&lab, "checkout");
    checkout.wait(RUNS, b'u');
    checkout.send(b'x');
    let error = eventually("nobody listens", || checkout.control().err());
    assert_eq!(error.raw_os_error(), Some(libc::ENXIO));
    assert_eq!(checkout.status().0, DOWN, "the last status is not that of a service that is down");
    eventually("supervised again", || checkout.control().ok());
    checkout.wait(RUNS, b'u');
}
