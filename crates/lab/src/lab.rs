//! The handle of a lab: starts a lab, sends requests to it, and ends it. The lab itself runs in other processes; this module never changes
//! namespaces except in [`Lab::enter`].

use std::{
    ffi::OsString,
    fs::File,
    io::{Read as _, Seek as _, Write as _},
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus},
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{
    HIDDEN, LabError, LabSpec, LabStatus, advice, enter,
    error::Doing as _,
    exec,
    message::{Answer, Request, ask},
    registry,
    report::Report,
    sys::{
        ids::Outer,
        process,
        spawn::{HOST_NAMESPACES, Start, start},
    },
};

/// Maximum time for a lab to start, in milliseconds.
const START_WITHIN_MS: u16 = 60_000;
/// Maximum time for a killed lab to be gone, in milliseconds.
const GONE_WITHIN_MS: i32 = 30_000;

/// Options for starting a lab.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether the lab outlives this process. Then it lives until [`Lab::down`].
    pub detach: bool,
    /// The binary for all parts of the lab; by default the binary of this process. It must call [`crate::dispatch()`].
    pub program: Option<PathBuf>,
}

/// A lab that is up. If it is not detached, dropping it in the process that started it ends the lab.
#[derive(Debug)]
pub struct Lab {
    name: String,
    dir: PathBuf,
    root: OwnedFd,
    program: PathBuf,
    /// The lab lives only as long as this is open. `None` for a detached lab, and in a process that did not start the lab.
    lifeline: Option<OwnedFd>,
    /// Whether this process started the lab.
    parent: bool,
}

impl Lab {
    /// Builds a lab and returns when all its hosts are up and have started their services.
    ///
    /// The lab dies with the *thread* that calls this, unless the lab is detached. Call this from the main thread.
    ///
    /// # Errors
    /// The specification is invalid, the name is taken, or the machine does not allow a lab; then the message has advice.
    pub fn up(spec: &LabSpec, options: &Options) -> Result<Self, LabError> {
        spec.validate()?;
        let claim = registry::claim(&spec.name)?;
        let dir = claim.dir.clone();
        let lab = Self::up_in(spec, options, &claim);
        drop(claim);
        let (lab, report) = lab.inspect_err(|_| registry::remove(&dir))?;
        let report = lab.read_report(report)?;
        match report.error {
            None => Ok(lab),
            Some(failure) => {
                lab.down()?;
                Err(advice::explain(failure, report.errno))
            }
        }
    }

    /// Starts the lab's root process. Returns the lab, and the descriptor from which its report is read.
    fn up_in(
        spec: &LabSpec,
        options: &Options,
        claim: &registry::Claim,
    ) -> Result<(Self, OwnedFd), LabError> {
        let path = options.program.clone().unwrap_or_else(|| "/proc/self/exe".into());
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
        let program = rustix::fs::open(&path, flags, rustix::fs::Mode::empty())
            .doing(format!("open {}", path.display()))?;
        std::fs::write(claim.dir.join("hosts"), spec.hosts_file()).doing("write the lab's names")?;
        let socket = claim.dir.join("control");
        let listener = UnixListener::bind(&socket).doing(format!("listen on {}", socket.display()))?;
        let description = in_memory(&serde_json::to_vec(spec).doing("describe the lab")?)?;
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).doing("make a pipe");
        let (hear, report) = pipe()?;
        let (lifeline_end, lifeline) = pipe()?;
        let mut keep = vec![description.as_raw_fd(), listener.as_raw_fd(), report.as_raw_fd()];
        if !options.detach {
            keep.push(lifeline_end.as_raw_fd());
        }
        let mut words = ["firedrill", HIDDEN, "root"].map(String::from).to_vec();
        words.extend(keep.iter().map(ToString::to_string));
        let root = Some(Outer::for_lab_root());
        let what = Start { program: &program, argv: &words, keep: &keep, namespaces: HOST_NAMESPACES, root };
        let child = start(&what, |child| claim.register(&spec.name, child.pid)).map_err(|e| {
            advice::explain(format!("failed to {}: {}", e.step, e.source), e.source.raw_os_error())
        })?;
        let lab = Self {
            name: spec.name.clone(),
            dir: claim.dir.clone(),
            root: child.pidfd,
            program: path,
            lifeline: (!options.detach).then_some(lifeline),
            parent: true,
        };
        Ok((lab, hear))
    }

    /// Waits for the report of the lab's root process, for at most a minute.
    fn read_report(&self, hear: OwnedFd) -> Result<Report, LabError> {
        let mut polled = [PollFd::new(hear.as_fd(), PollFlags::POLLIN)];
        let heard = loop {
            match poll(&mut polled, PollTimeout::from(START_WITHIN_MS)) {
                Err(nix::Error::EINTR) => {}
                other => break other.doing("wait for the lab")?,
            }
        };
        if heard == 0 {
            let error = Some(format!("lab {} has not started within a minute", self.name));
            return Ok(Report { error, ..Report::default() });
        }
        let mut bytes = Vec::new();
        File::from(hear).read_to_end(&mut bytes).doing("hear from the lab")?;
        Ok(Report::parse(&bytes))
    }

    /// Finds a running lab that another process of this user started.
    ///
    /// # Errors
    /// There is no lab with this name.
    pub fn attach(name: &str) -> Result<Self, LabError> {
        let (dir, root) = registry::find(name)?;
        let program = "/proc/self/exe".into();
        Ok(Self { name: name.into(), dir, root, program, lifeline: None, parent: false })
    }

    /// Returns the lab's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the pid of the lab's root process, as in this process's `/proc`.
    ///
    /// # Errors
    /// The lab is gone.
    pub fn pid(&self) -> Result<i32, LabError> {
        process::pid_of(&self.root).doing(format!("find the root of lab {}", self.name))
    }

    /// Returns the lab's status.
    ///
    /// # Errors
    /// The lab is gone.
    pub fn status(&self) -> Result<LabStatus, LabError> {
        match self.ask(&Request::Status)? {
            (Answer::Status(status), _) => Ok(status),
            other => Err(unexpected(&other.0)),
        }
    }

    /// Waits until `wanted` is true of the lab's status, for at most the time `at_most`. Returns whether it was true, and the last status.
    ///
    /// # Errors
    /// The lab is gone.
    pub fn wait_until(
        &self,
        at_most: Duration,
        wanted: impl Fn(&LabStatus) -> bool,
    ) -> Result<(bool, LabStatus), LabError> {
        let end = Instant::now() + at_most;
        loop {
            let status = self.status()?;
            let reached = wanted(&status);
            if reached || Instant::now() >= end {
                return Ok((reached, status));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn command(&self, host: &str, argv: &[OsString]) -> Result<Command, LabError> {
        if argv.is_empty() {
            return Err(LabError::Spec("say what to run in the host".into()));
        }
        let ends = (self.descriptor(&Request::Host(host.into()))?, self.connect()?.into());
        Ok(exec::command(self.program(), ends, host, argv))
    }

    /// Runs a command in a host, with this process's standard streams, and waits for its end. [`crate::SELF_EXE`] as the first word means
    /// the binary that built the lab.
    ///
    /// # Errors
    /// There is no such host, it is not up, or the command cannot be run.
    pub fn exec(&self, host: &str, argv: &[OsString]) -> Result<ExitStatus, LabError> {
        self.command(host, argv)?.status().doing(format!("run a command in host {host}"))
    }

    /// Runs a command as [`Lab::exec`] does, and returns its output.
    ///
    /// # Errors
    /// As [`Lab::exec`].
    pub fn output(&self, host: &str, argv: &[OsString]) -> Result<std::process::Output, LabError> {
        self.command(host, argv)?.output().doing(format!("run a command in host {host}"))
    }

    /// Cuts the power of a host. Its peers hear nothing more from it, and it stays off.
    ///
    /// # Errors
    /// There is no such host.
    pub fn kill(&self, host: &str) -> Result<(), LabError> {
        self.tell(&Request::Kill(host.into()))
    }

    /// Powers a host on.
    ///
    /// # Errors
    /// There is no such host, or it is on already.
    pub fn power_on(&self, host: &str) -> Result<(), LabError> {
        self.tell(&Request::PowerOn(host.into()))
    }

    /// Pulls a host's network cable. It stays unplugged over reboots of the host.
    ///
    /// # Errors
    /// There is no such host.
    pub fn cut(&self, host: &str) -> Result<(), LabError> {
        self.tell(&Request::Link { host: host.into(), up: false })
    }

    /// Plugs a host's network cable in.
    ///
    /// # Errors
    /// There is no such host.
    pub fn plug(&self, host: &str) -> Result<(), LabError> {
        self.tell(&Request::Link { host: host.into(), up: true })
    }

    /// Returns the pids of all processes of a host, as in this process's `/proc`.
    ///
    /// # Errors
    /// There is no such host, or it is not up.
    pub fn pids(&self, host: &str) -> Result<Vec<i32>, LabError> {
        let first = self.descriptor(&Request::Host(host.into()))?;
        process::pid_of(&first)
            .and_then(process::namespace_members)
            .doing(format!("list the processes of host {host}"))
    }

    /// Returns the log of a service of a host: its output so far.
    ///
    /// # Errors
    /// There is no such host or service.
    pub fn log(&self, host: &str, service: &str) -> Result<String, LabError> {
        let file = self.descriptor(&Request::Log { host: host.into(), service: service.into() })?;
        let mut bytes = Vec::new();
        File::from(file)
            .read_to_end(&mut bytes)
            .doing(format!("read the log of {service} in host {host}"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Moves this process into the coordinator's network namespace. From then on, the process has the network and the host names
    /// (`/etc/hosts`) of the lab, and no other network. All other files stay the same.
    ///
    /// # Errors
    /// The process has more than one thread, or the lab is gone.
    pub fn enter(&self) -> Result<(), LabError> {
        enter::enter(&self.descriptor(&Request::Coordinator)?, &self.dir.join("hosts"))
    }

    /// Enters the lab and replaces this process with another program, which is found by this process's `PATH`.
    ///
    /// # Errors
    /// As [`Lab::enter`], or the program cannot be run.
    pub fn enter_and_exec(&self, argv: &[OsString]) -> Result<ExitCode, LabError> {
        use std::os::unix::process::CommandExt as _;
        let (program, words) =
            argv.split_first().ok_or_else(|| LabError::Spec("say what to run in the lab".into()))?;
        self.enter()?;
        let error = std::process::Command::new(program).args(words).exec();
        Err(LabError::os(format!("run {}", Path::new(program).display()), error))
    }

    /// Waits until the lab ends, or until this process gets SIGINT, SIGTERM or SIGHUP.
    ///
    /// # Errors
    /// A system call failed.
    pub fn wait(&self) -> Result<(), LabError> {
        use nix::sys::{
            signal::{SigSet, Signal},
            signalfd::SignalFd,
        };
        let mut mask = SigSet::empty();
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().for_each(|s| mask.add(s));
        mask.thread_block().doing("wait for signals")?;
        let signals = SignalFd::new(&mask).doing("wait for signals")?;
        let mut polled = [
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.root.as_fd(), PollFlags::POLLIN),
        ];
        poll(&mut polled, PollTimeout::NONE).doing("wait for the lab")?;
        Ok(())
    }

    /// Ends the lab and all its processes, and returns when they are gone.
    ///
    /// # Errors
    /// The lab is still there after 30 seconds.
    pub fn down(self) -> Result<(), LabError> {
        self.end()
    }

    fn end(&self) -> Result<(), LabError> {
        let doing = || format!("end lab {}", self.name);
        process::kill(&self.root).doing(doing())?;
        let gone = process::wait_gone(&self.root, GONE_WITHIN_MS).doing(doing())?;
        if self.parent {
            use rustix::process::{WaitId, WaitIdOptions, waitid};
            // A failure is ignored: the root process may have been reaped already.
            let _ = waitid(WaitId::PidFd(self.root.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        }
        if !gone {
            return Err(LabError::Refused(format!("lab {} was killed and is still there", self.name)));
        }
        registry::remove(&self.dir);
        Ok(())
    }

    /// Sends a request that is answered with `Done`.
    fn tell(&self, request: &Request) -> Result<(), LabError> {
        match self.ask(request)? {
            (Answer::Done, _) => Ok(()),
            other => Err(unexpected(&other.0)),
        }
    }

    /// Sends a request that is answered with a file descriptor.
    pub(crate) fn descriptor(&self, request: &Request) -> Result<OwnedFd, LabError> {
        match self.ask(request)? {
            (Answer::Descriptor, Some(fd)) => Ok(fd),
            other => Err(unexpected(&other.0)),
        }
    }

    fn ask(&self, request: &Request) -> Result<(Answer, Option<OwnedFd>), LabError> {
        let socket = self.connect()?;
        match ask(&socket, request).doing(format!("ask lab {}", self.name))? {
            (Answer::Refused(why), _) => Err(LabError::Refused(why)),
            answer => Ok(answer),
        }
    }

    pub(crate) fn connect(&self) -> Result<UnixStream, LabError> {
        UnixStream::connect(self.dir.join("control")).doing(format!("reach lab {}", self.name))
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.lifeline.take().is_some() {
            // A failure is ignored: the remaining processes die when the lifeline is closed, which happens here.
            let _ = self.end();
        }
    }
}

/// Makes a file in memory, positioned at its start.
fn in_memory(bytes: &[u8]) -> Result<OwnedFd, LabError> {
    let fd =
        rustix::fs::memfd_create("lab", rustix::fs::MemfdFlags::CLOEXEC).doing("make a file in memory")?;
    let mut file = File::from(fd);
    file.write_all(bytes).and_then(|()| file.rewind()).doing("fill a file in memory")?;
    Ok(file.into())
}

/// Makes the error of an answer that does not belong to the request.
fn unexpected(answer: &Answer) -> LabError {
    LabError::Refused(format!("an answer that was not asked for: {answer:?}; is the lab another version's?"))
}
