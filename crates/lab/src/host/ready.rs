//! The readiness of a service: its check is repeated from the service's start until the check succeeds once. The state is a word in a file
//! in the service's directory. This module never starts or ends the service.

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

/// Name of the file with the state, in the directory `supervise` of the service.
pub(super) const FILE: &str = "ready";
/// Time from the end of one check to the start of the next.
const EVERY: Duration = Duration::from_millis(100);
/// Time from the end of one check to the start of the next, if the service is late.
const EVERY_WHEN_LATE: Duration = Duration::from_secs(1);
/// Maximum duration of a check. A check that takes longer is killed and has failed.
const CHECK_AT_MOST: Duration = Duration::from_secs(5);
/// Maximum number of bytes, from the end of a check's output, that the log gets.
const OUTPUT_AT_MOST: usize = 400;

/// A check that is running.
#[derive(Debug)]
struct Running {
    pid: i32,
    /// The time at which the check is killed; `None` after it was killed.
    kill_at: Option<Instant>,
}

/// The readiness of one service.
#[derive(Debug)]
pub(super) struct Readiness {
    /// `None` for a service without a check.
    spec: Option<ReadySpec>,
    /// Path of the file with the state.
    file: PathBuf,
    /// Path of the file with the output of the running check, or else of the last check.
    output: PathBuf,
    /// The end of the output of the last check that has ended.
    last: String,
    /// `None` if the service is down or has no check.
    state: Option<ReadyState>,
    /// The time by which the service must be ready; a crash of the service does not extend it. `None` if the time is over or the service
    /// is ready.
    until: Option<Instant>,
    /// The time of the next check; `None` if a check is running or none is needed.
    next: Option<Instant>,
    running: Option<Running>,
}

impl Readiness {
    pub(super) fn new(spec: Option<ReadySpec>, file: PathBuf, output: PathBuf) -> Self {
        Self { spec, file, output, last: String::new(), state: None, until: None, next: None, running: None }
    }

    /// Handles a start of the service, also one that failed.
    pub(super) fn begin(&mut self, now: Instant) {
        let Some(spec) = &self.spec else { return };
        self.next = Some(now);
        if self.state.is_none() {
            self.until = now.checked_add(Duration::from_millis(spec.within_ms));
            self.set(Some(ReadyState::Waiting));
        }
    }

    /// Handles the end of the service. `again` says whether it will be started again.
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

    /// Returns the time of the next [`Self::tick`] that is needed, if any. `up` says whether the service is running.
    pub(super) fn due(&self, up: bool) -> Option<Instant> {
        let check = match &self.running {
            Some(running) => running.kill_at,
            None => self.next.filter(|_| up),
        };
        [self.until, check].into_iter().flatten().min()
    }

    /// Kills a check that takes too long, starts a check that is due, and notices that the service is late. Returns a note for the
    /// service's log, if there is one. `up` says whether the service is running.
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
            // A check that has just begun has no output yet; then the output of the check before is used.
            let output = [self.output_end(), self.last.clone()].into_iter().find(|text| !text.is_empty());
            let output = output.as_deref().unwrap_or("nothing");
            return Some(format!("it was not ready within {within:?}; its check said: {output}"));
        }
        None
    }

    /// Handles the end of a process that may be the check. Returns whether it was the check. `succeeded` says whether its exit code was 0.
    pub(super) fn check_ended(&mut self, pid: i32, succeeded: bool, now: Instant) -> bool {
        if self.running.as_ref().is_none_or(|running| running.pid != pid) {
            return false;
        }
        self.running = None;
        self.last = self.output_end();
        if succeeded {
            self.until = None;
            self.set(Some(ReadyState::Ready));
        } else {
            self.plan_next(now);
        }
        true
    }

    /// Starts the check. If that fails, the reason takes the place of the check's output.
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
                // A failure is ignored: the file system is in memory, so writing fails only if the host's memory is full.
                let _ = fs::write(&self.output, format!("failed to run {argv:?}: {error}"));
                self.plan_next(now);
            }
        }
    }

    /// Sets the time of the next check.
    fn plan_next(&mut self, now: Instant) {
        let wait = if self.state == Some(ReadyState::Late) { EVERY_WHEN_LATE } else { EVERY };
        self.next = Some(now + wait);
    }

    /// Sets the state and writes it to the file.
    fn set(&mut self, state: Option<ReadyState>) {
        self.state = state;
        // A failure is ignored, as for the service's status: there is nowhere to report it.
        let _ = match state {
            Some(state) => {
                let new = self.file.with_extension("new");
                fs::write(&new, state.word()).and_then(|()| fs::rename(&new, &self.file))
            }
            None => fs::remove_file(&self.file),
        };
    }

    /// Returns the end of the check's output, as one line.
    fn output_end(&self) -> String {
        let output = fs::read(&self.output).unwrap_or_default();
        let start = output.len().saturating_sub(OUTPUT_AT_MOST);
        String::from_utf8_lossy(&output[start..]).trim().replace('\n', " / ")
    }
}

/// Kills a check and all processes that it started; they are in one session.
fn end(pid: i32) {
    // The check was not reaped yet, so no other process group can have its number. If the group is gone already, nothing is left to do.
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

        /// Waits for the end of the running check, and reports it at `seconds` after the beginning.
        fn end_of_check(&mut self, seconds: u64) {
            let pid = self.ready.running.as_ref().expect("runs").pid;
            let status = nix::sys::wait::waitpid(Pid::from_raw(pid), None).unwrap();
            let succeeded = matches!(status, nix::sys::wait::WaitStatus::Exited(_, 0));
            assert!(self.ready.check_ended(pid, succeeded, self.begun + Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn a_service_is_ready_from_the_first_successful_check_until_it_ends() {
        let mut trial = trial(&["true"]);
        trial.ready.begin(trial.begun);
        assert_eq!(trial.word(), "waiting");
        assert_eq!(trial.tick(0, true), None);
        assert!(!trial.ready.check_ended(1, true, trial.begun), "another process");
        trial.end_of_check(1);
        assert_eq!((trial.word().as_str(), trial.ready.due(true)), ("ready", None));
        trial.ready.ended(true);
        assert_eq!(trial.word(), "");
        trial.ready.begin(trial.begun);
        assert_eq!(trial.word(), "waiting", "it has to become ready anew");
    }

    #[test]
    fn crashes_do_not_extend_the_time_and_a_late_service_may_become_ready() {
        let mut trial = trial(&["sh", "-c", "echo no disk; exit 1"]);
        trial.ready.begin(trial.begun);
        trial.tick(0, true);
        trial.end_of_check(0);
        trial.ready.ended(true);
        assert_eq!(trial.word(), "waiting");
        trial.ready.begin(trial.begun + Duration::from_secs(8));
        assert_eq!(trial.tick(9, false), None, "nothing is checked while the service is down");
        assert!(trial.ready.running.is_none());
        let note = trial.tick(10, false).expect("late");
        assert!(note.contains("within 10s") && note.contains("no disk"), "{note}");
        assert_eq!(trial.word(), "late");
        trial.ready.spec.as_mut().unwrap().check = ReadyCheck::Command(vec!["true".into()]);
        assert_eq!(trial.tick(12, true), None);
        trial.end_of_check(12);
        assert_eq!(trial.word(), "ready");
    }

    #[test]
    fn a_service_that_becomes_late_during_a_check_has_the_output_of_the_check_before() {
        let mut trial = trial(&["sh", "-c", "echo no disk; exit 1"]);
        trial.ready.begin(trial.begun);
        trial.tick(0, true);
        trial.end_of_check(0);
        trial.ready.spec.as_mut().unwrap().check =
            ReadyCheck::Command(["sleep", "1h"].map(str::to_owned).into());
        assert_eq!(trial.tick(9, true), None);
        let note = trial.tick(10, true).expect("late");
        assert!(note.ends_with("its check said: no disk"), "{note}");
        trial.tick(20, true);
        trial.end_of_check(20);
    }

    #[test]
    fn a_check_that_hangs_is_ended_and_repeated() {
        let mut trial = trial(&["sleep", "1h"]);
        trial.ready.begin(trial.begun);
        trial.tick(0, true);
        assert_eq!(trial.ready.due(true), Some(trial.begun + CHECK_AT_MOST));
        trial.tick(5, true);
        trial.end_of_check(5);
        assert_eq!(trial.ready.due(true), Some(trial.begun + CHECK_AT_MOST + EVERY));
        assert_eq!(trial.word(), "waiting");
    }

    #[test]
    fn a_service_that_is_brought_down_is_neither_ready_nor_late() {
        let mut trial = trial(&["no-such-program"]);
        trial.ready.begin(trial.begun);
        trial.tick(0, true);
        assert!(trial.ready.running.is_none(), "it could not be started");
        trial.ready.ended(false);
        assert_eq!((trial.word().as_str(), trial.tick(20, false)), ("", None));
    }
}
