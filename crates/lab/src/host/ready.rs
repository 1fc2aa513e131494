//! Whether a service is ready: its check is repeated from the start on until it holds once. The state is a word in a file of the
//! service's directory.

use std::{
    fs::{self, File},
    path::PathBuf,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::program;
use crate::{HIDDEN, ReadyCheck, ReadySpec, ReadyState, SELF_EXE, ServiceSpec};

/// The file with the state, in the service's directory `supervise`.
pub(super) const FILE: &str = "ready";
/// Time from the end of one check to the next.
const EVERY: Duration = Duration::from_millis(100);
/// Time from the end of one check to the next, if the service is late.
const EVERY_WHEN_LATE: Duration = Duration::from_secs(1);
/// A check that takes longer is ended and has failed.
const CHECK_AT_MOST: Duration = Duration::from_secs(5);
/// The end of a check's output that the log gets.
const OUTPUT_AT_MOST: usize = 400;

/// A check that runs.
#[derive(Debug)]
struct Running {
    pid: i32,
    /// The time at which it is killed; `None` once it was.
    kill_at: Option<Instant>,
}

/// The readiness of one service.
#[derive(Debug)]
pub(super) struct Readiness {
    spec: Option<ReadySpec>,
    /// The file with the state.
    file: PathBuf,
    /// The file with the output of the check that runs, or of the last one.
    output: PathBuf,
    /// The end of the output of the last check that has ended.
    last: String,
    state: Option<ReadyState>,
    /// The end of its time to get ready. A crash in between does not extend it.
    until: Option<Instant>,
    /// The time of the next check.
    next: Option<Instant>,
    running: Option<Running>,
}

impl Readiness {
    pub(super) fn new(spec: Option<ReadySpec>, file: PathBuf, output: PathBuf) -> Self {
        Self { spec, file, output, last: String::new(), state: None, until: None, next: None, running: None }
    }

    /// Handles the start of the service, also a failed one.
    pub(super) fn begin(&mut self, now: Instant) {
        let Some(spec) = &self.spec else { return };
        self.next = Some(now);
        if self.state.is_none() {
            self.until = now.checked_add(Duration::from_millis(spec.within_ms));
            self.set(Some(ReadyState::Waiting));
        }
    }

    /// Handles the end of the service. `again` says that it will be started again.
    pub(super) fn ended(&mut self, again: bool) {
        self.next = None;
        if let Some(running) = self.running.take() {
            end(running.pid);
        }
        if !again || self.state == Some(ReadyState::Ready) {
            self.until = None;
            self.set(None);
        }
    }

    /// Returns the time at which it has to be looked at again; `up` says whether the service runs.
    pub(super) fn due(&self, up: bool) -> Option<Instant> {
        let check = match &self.running {
            Some(running) => running.kill_at,
            None => self.next.filter(|_| up),
        };
        [self.until, check].into_iter().flatten().min()
    }

    /// Handles the passing of time. Returns a note for the service's log.
    pub(super) fn tick(&mut self, now: Instant, up: bool, service: &ServiceSpec) -> Option<String> {
        let passed = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if let Some(running) = self.running.as_mut().filter(|running| passed(running.kill_at)) {
            running.kill_at = None;
            end(running.pid);
        }
        if self.running.is_none() && up && passed(self.next) {
            self.next = None;
            self.check(now, service);
        }
        if passed(self.until) {
            self.until = None;
            self.set(Some(ReadyState::Late));
            let within = Duration::from_millis(self.spec.as_ref().map_or(0, |spec| spec.within_ms));
            // A check that has just begun has said nothing.
            let said = [self.said(), self.last.clone()].into_iter().find(|said| !said.is_empty());
            let said = said.as_deref().unwrap_or("nothing");
            return Some(format!("it was not ready within {within:?}; its check said: {said}"));
        }
        None
    }

    /// Handles the end of a process that may be the check. Returns whether it was.
    pub(super) fn check_ended(&mut self, pid: i32, held: bool, now: Instant) -> bool {
        if self.running.as_ref().is_none_or(|running| running.pid != pid) {
            return false;
        }
        self.running = None;
        self.last = self.said();
        if held {
            self.until = None;
            self.set(Some(ReadyState::Ready));
        } else {
            self.again(now);
        }
        true
    }

    /// Starts the check.
    fn check(&mut self, now: Instant, service: &ServiceSpec) {
        let Some(spec) = &self.spec else { return };
        let own = |words: &[&str]| -> Vec<String> {
            [SELF_EXE, HIDDEN, "ready"].iter().chain(words).map(ToString::to_string).collect()
        };
        let argv = match &spec.check {
            ReadyCheck::Tcp(port) => own(&["tcp", port.to_string().as_str()]),
            ReadyCheck::Http { address, path } => own(&["http", address.as_str(), path.as_str()]),
            ReadyCheck::Command(argv) => argv.clone(),
        };
        match File::create(&self.output).and_then(|output| program::start(service, &argv, output)) {
            Ok(pid) => self.running = Some(Running { pid, kill_at: Some(now + CHECK_AT_MOST) }),
            Err(error) => {
                // A file system in memory: fails only if the host's memory is full.
                let _ = fs::write(&self.output, format!("failed to run {argv:?}: {error}"));
                self.again(now);
            }
        }
    }

    fn again(&mut self, now: Instant) {
        let wait = if self.state == Some(ReadyState::Late) { EVERY_WHEN_LATE } else { EVERY };
        self.next = Some(now + wait);
    }

    fn set(&mut self, state: Option<ReadyState>) {
        self.state = state;
        // A failure is ignored, as for the service's status: it cannot be reported.
        let _ = match state {
            Some(state) => {
                let new = self.file.with_extension("new");
                fs::write(&new, state.word()).and_then(|()| fs::rename(&new, &self.file))
            }
            None => fs::remove_file(&self.file),
        };
    }

    /// Returns the end of the check's output.
    fn said(&self) -> String {
        let output = fs::read(&self.output).unwrap_or_default();
        let start = output.len().saturating_sub(OUTPUT_AT_MOST);
        String::from_utf8_lossy(&output[start..]).trim().replace('\n', " / ")
    }
}

/// Kills a check with all that it has started: it has a session of its own.
fn end(pid: i32) {
    // The check was not reaped yet, so no other process group can have its number. If the group is gone already, that is success.
    let _ = kill(Pid::from_raw(-pid), Signal::SIGKILL);
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Trial {
        ready: Readiness,
        service: ServiceSpec,
        begun: Instant,
        _folder: tempfile::TempDir,
    }

    fn trial(check: &[&str]) -> Trial {
        let folder = tempfile::tempdir().unwrap();
        let check = ReadyCheck::Command(check.iter().map(ToString::to_string).collect());
        let spec = Some(ReadySpec { check, within_ms: 10_000 });
        let ready = Readiness::new(spec, folder.path().join("ready"), folder.path().join("check"));
        Trial { ready, service: ServiceSpec::default(), begun: Instant::now(), _folder: folder }
    }

    impl Trial {
        fn tick(&mut self, seconds: u64, up: bool) -> Option<String> {
            self.ready.tick(self.begun + Duration::from_secs(seconds), up, &self.service)
        }

        fn word(&self) -> String {
            fs::read_to_string(&self.ready.file).unwrap_or_default()
        }

        /// Waits for the check that runs, and reports its end.
        fn end_of_check(&mut self, seconds: u64) {
            let pid = self.ready.running.as_ref().expect("runs").pid;
            let status = nix::sys::wait::waitpid(Pid::from_raw(pid), None).unwrap();
            let held = matches!(status, nix::sys::wait::WaitStatus::Exited(_, 0));
            assert!(self.ready.check_ended(pid, held, self.begun + Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn a_check_that_holds_makes_it_ready_until_it_ends() {
        let mut one = trial(&["true"]);
        one.ready.begin(one.begun);
        assert_eq!(one.word(), "waiting");
        assert_eq!(one.tick(0, true), None);
        assert!(!one.ready.check_ended(1, true, one.begun), "another process");
        one.end_of_check(1);
        assert_eq!((one.word().as_str(), one.ready.due(true)), ("ready", None));
        one.ready.ended(true);
        assert_eq!(one.word(), "");
        one.ready.begin(one.begun);
        assert_eq!(one.word(), "waiting", "it has to become ready anew");
    }

    #[test]
    fn crashes_do_not_extend_the_time_and_a_late_service_may_become_ready() {
        let mut one = trial(&["sh", "-c", "echo no disk; exit 1"]);
        one.ready.begin(one.begun);
        one.tick(0, true);
        one.end_of_check(0);
        one.ready.ended(true);
        assert_eq!(one.word(), "waiting");
        one.ready.begin(one.begun + Duration::from_secs(8));
        assert_eq!(one.tick(9, false), None, "nothing is checked while the service is down");
        assert!(one.ready.running.is_none());
        let note = one.tick(10, false).expect("late");
        assert!(note.contains("within 10s") && note.contains("no disk"), "{note}");
        assert_eq!(one.word(), "late");
        one.ready.spec.as_mut().unwrap().check = ReadyCheck::Command(vec!["true".into()]);
        assert_eq!(one.tick(12, true), None);
        one.end_of_check(12);
        assert_eq!(one.word(), "ready");
    }

    #[test]
    fn a_service_that_is_late_while_a_check_runs_has_the_words_of_the_check_before() {
        let mut one = trial(&["sh", "-c", "echo no disk; exit 1"]);
        one.ready.begin(one.begun);
        one.tick(0, true);
        one.end_of_check(0);
        one.ready.spec.as_mut().unwrap().check =
            ReadyCheck::Command(["sleep", "1h"].map(str::to_owned).into());
        assert_eq!(one.tick(9, true), None);
        let note = one.tick(10, true).expect("late");
        assert!(note.ends_with("its check said: no disk"), "{note}");
        one.tick(20, true);
        one.end_of_check(20);
    }

    #[test]
    fn a_check_that_hangs_is_ended_and_repeated() {
        let mut one = trial(&["sleep", "1h"]);
        one.ready.begin(one.begun);
        one.tick(0, true);
        assert_eq!(one.ready.due(true), Some(one.begun + CHECK_AT_MOST));
        one.tick(5, true);
        one.end_of_check(5);
        assert_eq!(one.ready.due(true), Some(one.begun + CHECK_AT_MOST + EVERY));
        assert_eq!(one.word(), "waiting");
    }

    #[test]
    fn a_service_that_is_brought_down_is_neither_ready_nor_late() {
        let mut one = trial(&["no-such-program"]);
        one.ready.begin(one.begun);
        one.tick(0, true);
        assert!(one.ready.running.is_none(), "it could not be started");
        one.ready.ended(false);
        assert_eq!((one.word().as_str(), one.tick(20, false)), ("", None));
    }
}
