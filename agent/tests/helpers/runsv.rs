//! Supervises a service directory, by a small double that speaks runsv's protocol, or by runsv itself if it is installed. The
//! same tests run with both, and so also prove the double.

use firedrill_agent::host::process::Handle;
use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

/// A supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Double,
    Real,
}

/// Returns the supervisors that can be used, and reports if the real one cannot.
pub(crate) fn supervisors() -> Vec<Which> {
    let real = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|folder| folder.join("runsv").is_file());
    if real {
        vec![Which::Double, Which::Real]
    } else {
        eprintln!("skipped: the same against the real runsv, which is not installed");
        vec![Which::Double]
    }
}

/// A supervised service; dropping this ends it and its supervisor.
pub(crate) struct Supervised {
    pub(crate) dir: PathBuf,
    kind: Kind,
}

enum Kind {
    Double { end: Arc<AtomicBool>, deaf: Arc<AtomicBool>, thread: Option<JoinHandle<()>> },
    Real(Child),
}

impl Supervised {
    /// Supervises `service/<name>` below `root`; its `run` is that shell script.
    pub(crate) fn start(which: Which, root: &Path, name: &str, run: &str) -> Self {
        Self::start_with(which, root, name, run, None)
    }

    pub(crate) fn start_with(which: Which, root: &Path, name: &str, run: &str, finish: Option<&str>) -> Self {
        let dir = root.join("service").join(name);
        fs::create_dir_all(&dir).expect("dir");
        script(&dir.join("run"), run);
        if let Some(finish) = finish {
            script(&dir.join("finish"), finish);
        }
        let kind = supervise(which, &dir);
        let supervised = Self { dir, kind };
        super::services::until("the service", || supervised.main().is_some());
        supervised
    }

    /// Ends the supervisor, and the service with all its processes.
    pub(crate) fn kill_supervisor(&mut self) {
        match &mut self.kind {
            Kind::Double { end, thread, .. } => {
                end.store(true, Ordering::Relaxed);
                if let Some(thread) = thread.take() {
                    thread.join().expect("double");
                }
            }
            Kind::Real(child) => {
                let _ = send_raw(&self.dir, b"x");
                let end = Instant::now() + Duration::from_secs(2);
                while child.try_wait().expect("wait").is_none() {
                    if Instant::now() > end {
                        child.kill().expect("kill");
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
        sweep(&self.dir);
    }

    /// Starts another supervisor, as runsvdir would.
    pub(crate) fn new_supervisor(&mut self, which: Which) {
        self.kind = supervise(which, &self.dir);
    }

    /// Writes a command, as an administrator's `sv` does.
    pub(crate) fn send(&self, commands: &[u8]) {
        send_raw(&self.dir, commands).expect("a runsv reads");
    }

    /// Makes the supervisor leave commands in its pipe, as on a busy machine, or read them again.
    pub(crate) fn set_deaf(&self, yes: bool) {
        use rustix::process::{Pid, Signal, kill_process};
        match &self.kind {
            Kind::Double { deaf, .. } => deaf.store(yes, Ordering::Relaxed),
            Kind::Real(child) => {
                let signal = if yes { Signal::STOP } else { Signal::CONT };
                kill_process(Pid::from_child(child), signal).expect("a runsv");
            }
        }
    }

    /// Returns the number of commands that wait in the pipe.
    pub(crate) fn waiting(&self) -> u64 {
        let path = self.dir.join("supervise/control");
        let pipe = fs::OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path);
        rustix::io::ioctl_fionread(pipe.expect("a runsv reads")).expect("a pipe")
    }

    fn status(&self) -> Vec<u8> {
        fs::read(self.dir.join("supervise/status")).unwrap_or_default()
    }

    /// Returns the pid of the service.
    pub(crate) fn main(&self) -> Option<i32> {
        let status = self.status();
        let pid = i32::from_le_bytes(status.get(12..16)?.try_into().ok()?);
        (status.get(19) == Some(&1) && pid > 0).then_some(pid)
    }

    pub(crate) fn is_down(&self) -> bool {
        let status = self.status();
        status.get(19) == Some(&0) && status.get(17) == Some(&b'd')
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.kill_supervisor();
    }
}

/// Kills processes that a service has left behind; all of them work in the service's directory.
fn sweep(dir: &Path) {
    for stat in firedrill_agent::host::process::all().unwrap_or_default() {
        let works_there = fs::read_link(format!("/proc/{}/cwd", stat.name.pid)).is_ok_and(|cwd| cwd == dir);
        if let Some(handle) = works_there.then(|| Handle::open(stat.name).ok().flatten()).flatten() {
            let _ = handle.signal(rustix::process::Signal::KILL);
        }
    }
}

pub(crate) fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
    fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("script");
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
}

fn send_raw(dir: &Path, commands: &[u8]) -> std::io::Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(dir.join("supervise/control"))?
        .write_all(commands)
}

fn supervise(which: Which, dir: &Path) -> Kind {
    match which {
        Which::Real => Kind::Real(
            Command::new("runsv")
                .arg(dir)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("runsv"),
        ),
        Which::Double => {
            let end = Arc::new(AtomicBool::new(false));
            let deaf = Arc::new(AtomicBool::new(false));
            let mut double = Double::new(dir);
            let (stop, ignore) = (Arc::clone(&end), Arc::clone(&deaf));
            Kind::Double { end, deaf, thread: Some(std::thread::spawn(move || double.run(&stop, &ignore))) }
        }
    }
}

/// A double of runsv: the supervisor's side of the protocol.
struct Double {
    dir: PathBuf,
    control: fs::File,
    /// Keeps the FIFO open, so that reading never reaches its end.
    _writer: fs::File,
    /// The process of `run` or `finish`.
    child: Option<Child>,
    /// Whether `finish` runs.
    finishing: bool,
    want_up: bool,
    /// Whether TERM was sent to `run`.
    term: bool,
    /// The earliest time of the next start: a second after the last one.
    not_before: Instant,
}

impl Double {
    fn new(dir: &Path) -> Self {
        let supervise = dir.join("supervise");
        fs::create_dir_all(&supervise).expect("supervise");
        let path = supervise.join("control");
        if !path.exists() {
            nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("fifo");
        }
        let control =
            fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).expect("read end");
        let writer = fs::OpenOptions::new().write(true).open(&path).expect("write end");
        let want_up = !dir.join("down").exists();
        let now = Instant::now();
        let double = Self {
            dir: dir.to_owned(),
            control,
            _writer: writer,
            child: None,
            finishing: false,
            want_up,
            term: false,
            not_before: now,
        };
        double.write();
        double
    }

    fn run(&mut self, end: &AtomicBool, deaf: &AtomicBool) {
        while !end.load(Ordering::Relaxed) {
            let mut commands = [0; 16];
            if !deaf.load(Ordering::Relaxed)
                && let Ok(count) = self.control.read(&mut commands)
            {
                commands[..count].iter().for_each(|command| self.obey(*command));
            }
            if let Some(child) = &mut self.child
                && child.try_wait().expect("wait").is_some()
            {
                self.term = false;
                let finish = self.dir.join("finish");
                if !self.finishing && finish.exists() {
                    self.finishing = true;
                    self.child = Some(Command::new(finish).current_dir(&self.dir).spawn().expect("finish"));
                } else {
                    self.finishing = false;
                    self.child = None;
                }
                self.write();
            }
            if self.child.is_none() && self.want_up && Instant::now() >= self.not_before {
                self.not_before = Instant::now() + Duration::from_secs(1);
                self.child = Some(
                    Command::new("./run")
                        .current_dir(&self.dir)
                        .stdin(Stdio::null())
                        .stdout(Stdio::null())
                        .stderr(Stdio::null())
                        .spawn()
                        .expect("run"),
                );
                self.write();
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        if let Some(mut child) = self.child.take() {
            child.kill().expect("kill");
            child.wait().expect("wait");
        }
    }

    /// Carries out a command.
    fn obey(&mut self, command: u8) {
        match command {
            b'u' => self.want_up = true,
            b'd' => {
                self.want_up = false;
                self.terminate();
            }
            b't' => self.terminate(),
            b'c' => self.signal(libc::SIGCONT),
            _ => {}
        }
        self.write();
    }

    /// Sends TERM to the service. A script `control/t` that succeeds replaces the signal, and the status does not show it.
    fn terminate(&mut self) {
        let script = self.dir.join("control/t");
        if script.exists() && Command::new(script).status().expect("control/t").success() {
            return;
        }
        self.signal(libc::SIGTERM);
        self.term = self.child.is_some() && !self.finishing;
    }

    fn signal(&self, signal: i32) {
        if let Some(child) = self.child.as_ref().filter(|_| !self.finishing) {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("pid"));
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::try_from(signal).expect("signal"))
                .expect("kill");
        }
    }

    /// Writes `status`: the time as TAI64N, the process, and the flags.
    fn write(&self) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let mut status = Vec::new();
        status.extend(((1_u64 << 62) + 10 + since.as_secs()).to_be_bytes());
        status.extend(since.subsec_nanos().to_be_bytes());
        status.extend(self.child.as_ref().map_or(0, Child::id).to_le_bytes());
        let run = match (&self.child, self.finishing) {
            (None, _) => 0,
            (Some(_), false) => 1,
            (Some(_), true) => 2,
        };
        status.extend([0, if self.want_up { b'u' } else { b'd' }, u8::from(self.term), run]);
        let new = self.dir.join("supervise/status.new");
        fs::write(&new, status).expect("status");
        fs::rename(new, self.dir.join("supervise/status")).expect("status");
    }
}
