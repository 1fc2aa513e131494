//! One supervised service, with the files and behaviour of runit's `runsv`. Never waits for the service.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use nix::{
    sys::{
        signal::{Signal, kill},
        stat::Mode,
    },
    unistd::{Pid, mkfifo},
};

use super::{
    program,
    ready::{self, Readiness},
    status::Status,
};
use crate::{LabError, ServiceSpec, ServiceState, error::Doing as _, sys::mounts};

/// Minimum time that a service must have run to be started again at once. Otherwise the next start waits for the same time.
const THROTTLE: Duration = Duration::from_secs(1);
/// Interval at which runit's `runsvdir` looks for unsupervised directories.
const RESCAN: Duration = Duration::from_secs(5);

/// The state that commands have asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Up,
    Down,
    /// Down, and the supervision ends.
    Exit,
}

/// The open files of a supervised directory. Other programs see by them that it is supervised.
struct Ports {
    control: File,
    /// Keeps the pipe open for writing, so that it never reports its end when other writers close it.
    _control_writer: File,
    _ok: File,
    _lock: File,
}

/// A service and its supervision.
pub(super) struct Supervised {
    spec: ServiceSpec,
    /// The signal that asks the service to end.
    stop: Signal,
    ready: Readiness,
    dir: PathBuf,
    /// `None` while the directory is not supervised, after the command `x`.
    ports: Option<Ports>,
    want: Want,
    state: ServiceState,
    pid: Option<i32>,
    paused: bool,
    got_term: bool,
    since: SystemTime,
    started: Instant,
    /// Before this time, no command is read and nothing is started: because of [`THROTTLE`], or until an unsupervised directory is found
    /// again.
    not_before: Option<Instant>,
    /// The time at which the service is killed, if it was asked to end.
    kill_at: Option<Instant>,
}

impl Supervised {
    /// Makes the service's directory, and starts the service unless the directory has a file `down`.
    pub(super) fn new(services: &Path, spec: ServiceSpec) -> Result<Self, LabError> {
        let dir = services.join(&spec.name);
        mounts::directory(&dir, 0o755)?;
        mounts::directory(&dir.join("supervise"), 0o700)?;
        // In runit, the file `run` is a script. This supervisor does not run the file; it only shows the command to people.
        mounts::file(&dir.join("run"), format!("{}\n", spec.argv.join(" ")).as_bytes(), 0o644)?;
        if spec.down {
            mounts::file(&dir.join("down"), b"", 0o644)?;
        }
        for name in ["control", "ok"] {
            mkfifo(&dir.join("supervise").join(name), Mode::from_bits_truncate(0o600))
                .doing(format!("make {}/supervise/{name}", dir.display()))?;
        }
        let supervise = dir.join("supervise");
        let ready = Readiness::new(spec.ready.clone(), supervise.join(ready::FILE), supervise.join("check"));
        let mut service = Self {
            stop: spec.stop.signal().unwrap_or(Signal::SIGTERM),
            ready,
            spec,
            dir,
            ports: None,
            want: Want::Down,
            state: ServiceState::Down,
            pid: None,
            paused: false,
            got_term: false,
            since: SystemTime::now(),
            started: Instant::now(),
            not_before: None,
            kill_at: None,
        };
        service.open().doing(format!("supervise {}", service.dir.display()))?;
        Ok(service)
    }

    /// Returns the pipe for commands; `None` while no commands are read.
    pub(super) fn control(&self) -> Option<&File> {
        self.ports.as_ref().filter(|_| self.not_before.is_none()).map(|p| &p.control)
    }

    pub(super) fn pid(&self) -> Option<i32> {
        self.pid
    }

    /// Returns the time of the next [`Self::tick`] that is needed, if any.
    pub(super) fn due(&self) -> Option<Instant> {
        [self.not_before, self.kill_at, self.ready.due(self.pid.is_some())].into_iter().flatten().min()
    }

    /// Does everything whose time has come by `now`.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            self.note(&format!("it did not end after {}; it is killed", self.stop));
            self.signal(Signal::SIGKILL);
        }
        if let Some(note) = self.ready.tick(now, self.pid.is_some(), &self.spec) {
            self.note(&note);
        }
        if self.not_before.is_some_and(|at| at <= now) {
            self.not_before = None;
            if self.ports.is_none() {
                self.not_before = self.open().is_err().then(|| now + RESCAN);
            } else {
                self.start_if_wanted();
            }
        }
    }

    /// Handles the end of the service's process.
    pub(super) fn ended(&mut self) {
        self.pid = None;
        self.kill_at = None;
        self.ready.ended(self.want == Want::Up);
        self.got_term = false;
        self.paused = false;
        self.state = ServiceState::Down;
        self.since = SystemTime::now();
        self.write_status();
        if self.want == Want::Exit {
            self.exit();
        } else if self.started.elapsed() < THROTTLE {
            self.not_before = Some(Instant::now() + THROTTLE);
        } else {
            self.start_if_wanted();
        }
    }

    /// Handles the end of a process that may be the ready check. Returns whether it was.
    pub(super) fn check_ended(&mut self, pid: i32, succeeded: bool) -> bool {
        self.ready.check_ended(pid, succeeded, Instant::now())
    }

    /// Reads and executes the commands that were written to `supervise/control`.
    pub(super) fn obey(&mut self) {
        let mut commands = [0; 64];
        while let Some(ports) = &mut self.ports {
            match ports.control.read(&mut commands) {
                Ok(0) | Err(_) => return,
                Ok(count) => commands[..count].iter().copied().for_each(|c| self.command(c)),
            }
        }
    }

    /// Executes one command; the letters are those of runit.
    fn command(&mut self, command: u8) {
        match command {
            b'u' => {
                self.want = Want::Up;
                self.write_status();
                self.start_if_wanted();
            }
            b'd' => self.bring_down(Want::Down),
            b'x' => {
                self.bring_down(Want::Exit);
                if self.pid.is_none() {
                    self.exit();
                }
            }
            b'o' => {
                self.want = Want::Down;
                self.write_status();
                if self.pid.is_none() {
                    self.start();
                }
            }
            b't' => self.terminate(),
            b'k' => self.signal(Signal::SIGKILL),
            b'p' => {
                self.signal(Signal::SIGSTOP);
                self.paused = self.pid.is_some();
                self.write_status();
            }
            b'c' => {
                self.signal(Signal::SIGCONT);
                self.paused = false;
                self.write_status();
            }
            b'h' => self.signal(Signal::SIGHUP),
            b'a' => self.signal(Signal::SIGALRM),
            b'i' => self.signal(Signal::SIGINT),
            b'q' => self.signal(Signal::SIGQUIT),
            b'1' => self.signal(Signal::SIGUSR1),
            b'2' => self.signal(Signal::SIGUSR2),
            _ => {}
        }
    }

    fn bring_down(&mut self, want: Want) {
        self.want = want;
        self.write_status();
        if self.pid.is_some() {
            self.terminate();
            self.signal(Signal::SIGCONT);
        } else {
            self.ready.ended(false);
        }
    }

    /// Sends the stop signal, and plans the kill if the service has a time limit for stopping.
    fn terminate(&mut self) {
        if self.pid.is_some() {
            self.signal(self.stop);
            self.got_term = true;
            let patience = self.spec.stop.patience_ms.map(Duration::from_millis);
            self.kill_at = self.kill_at.or_else(|| Instant::now().checked_add(patience?));
            self.write_status();
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            // The child was not reaped yet, so no other process can have its pid. A failure is ignored: the child has ended already.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    fn start_if_wanted(&mut self) {
        if self.want == Want::Up && self.pid.is_none() && self.not_before.is_none() && self.ports.is_some() {
            self.start();
        }
    }

    /// Starts the service's process. A failure is noted in the log, and the start is tried again later.
    fn start(&mut self) {
        self.started = Instant::now();
        self.since = SystemTime::now();
        self.ready.begin(self.started);
        match self.run() {
            Ok(pid) => {
                self.pid = Some(pid);
                self.state = ServiceState::Run;
            }
            Err(error) => {
                self.note(&format!("failed to run {:?}: {error}", self.spec.argv));
                self.not_before = Some(Instant::now() + THROTTLE);
            }
        }
        self.write_status();
    }

    fn run(&self) -> io::Result<i32> {
        program::start(&self.spec, &self.spec.argv, self.log()?)
    }

    fn log(&self) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).open(format!("/var/log/{}.log", self.spec.name))
    }

    /// Writes a line of the supervisor to the service's log.
    fn note(&self, text: &str) {
        if let Ok(mut log) = self.log() {
            let _ = io::Write::write_all(&mut log, format!("supervisor: {text}\n").as_bytes());
        }
    }

    /// Starts to supervise the directory, like a new `runsv`.
    fn open(&mut self) -> io::Result<()> {
        let supervise = self.dir.join("supervise");
        let open = |name: &str, write: bool| {
            OpenOptions::new()
                .read(!write)
                .write(write)
                .custom_flags(libc::O_NONBLOCK)
                .open(supervise.join(name))
        };
        let lock = OpenOptions::new().append(true).create(true).mode(0o600).open(supervise.join("lock"))?;
        lock.try_lock().map_err(io::Error::other)?;
        let control = open("control", false)?;
        self.ports = Some(Ports {
            control,
            _control_writer: open("control", true)?,
            _ok: open("ok", false)?,
            _lock: lock,
        });
        self.want = if self.dir.join("down").exists() { Want::Down } else { Want::Up };
        self.since = SystemTime::now();
        self.write_status();
        self.start_if_wanted();
        Ok(())
    }

    /// Stops supervising the directory, like a `runsv` after the command `x`. After [`RESCAN`] it is supervised again.
    fn exit(&mut self) {
        self.ports = None;
        self.not_before = Some(Instant::now() + RESCAN);
    }

    fn write_status(&self) {
        let status = Status {
            since: self.since,
            pid: self.pid,
            paused: self.paused,
            want_up: self.want == Want::Up,
            got_term: self.got_term,
            state: self.state,
        };
        let pid = self.pid.map_or_else(String::new, |p| format!("{p}\n"));
        let files =
            [("status", status.bytes().to_vec()), ("stat", status.words().into()), ("pid", pid.into())];
        for (name, content) in files {
            let (new, whole) = (self.supervise(&format!("{name}.new")), self.supervise(name));
            // A failure is ignored: the file system is in memory, so writing fails only if the host's memory is full.
            let _ = fs::write(&new, content).and_then(|()| fs::rename(&new, &whole));
        }
    }

    fn supervise(&self, name: &str) -> PathBuf {
        self.dir.join("supervise").join(name)
    }
}
