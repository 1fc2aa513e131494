//! The main loop of a host's first process: supervises all services, like runit's `runsvdir` with its `runsv` processes, and reaps
//! orphans. Never blocks on a single service.

use std::{
    os::fd::AsFd as _,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use super::supervised::Supervised;
use crate::{LabError, ServiceSpec, error::Doing as _};

/// All services of a host.
pub(super) struct Supervisor {
    services: Vec<Supervised>,
    /// Readable when a child has ended.
    children: SignalFd,
}

impl Supervisor {
    /// Starts all services, with their directories below `dir`.
    pub(super) fn start(dir: &Path, specs: Vec<ServiceSpec>) -> Result<Self, LabError> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.thread_block().doing("wait for signals")?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let children = SignalFd::with_flags(&mask, flags).doing("wait for signals")?;
        let services: Result<_, _> = specs.into_iter().map(|spec| Supervised::new(dir, spec)).collect();
        Ok(Self { services: services?, children })
    }

    /// Runs until the host goes down. Only `reboot(2)` or a cut of the power ends the host, never the end of a service.
    pub(super) fn run(&mut self) -> ExitCode {
        loop {
            let commanded = self.wait();
            while let Ok(Some(_)) = self.children.read_signal() {}
            self.reap();
            for index in commanded {
                // A service that has ended just now may be throttled; then its commands wait.
                if self.services[index].control().is_some() {
                    self.services[index].obey();
                }
            }
            let now = Instant::now();
            self.services.iter_mut().for_each(|s| s.tick(now));
        }
    }

    /// Sleeps until a child ends, a command arrives or a time is due. Returns the indexes of the services that have commands waiting.
    fn wait(&self) -> Vec<usize> {
        let ports: Vec<_> =
            self.services.iter().enumerate().filter_map(|(i, s)| Some((i, s.control()?))).collect();
        let mut polled = vec![PollFd::new(self.children.as_fd(), PollFlags::POLLIN)];
        polled.extend(ports.iter().map(|(_, control)| PollFd::new(control.as_fd(), PollFlags::POLLIN)));
        let due = self.services.iter().filter_map(Supervised::due).min();
        let timeout = due.map_or(PollTimeout::NONE, |at| {
            let left = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        if poll(&mut polled, timeout).is_err() {
            return Vec::new();
        }
        let ready = |fd: &PollFd<'_>| fd.revents().is_some_and(|r| r.contains(PollFlags::POLLIN));
        ports.iter().zip(&polled[1..]).filter(|(_, fd)| ready(fd)).map(|((i, _), _)| *i).collect()
    }

    /// Reaps all children that have ended, and tells their services.
    fn reap(&mut self) {
        while let Ok(status) = waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                return;
            }
            let Some(pid) = status.pid().map(Pid::as_raw) else { continue };
            if let Some(service) = self.services.iter_mut().find(|s| s.pid() == Some(pid)) {
                service.ended();
            } else {
                let succeeded = matches!(status, WaitStatus::Exited(_, 0));
                // A process that is neither a service nor a check is an orphan; reaping it was enough.
                let _ = self.services.iter_mut().any(|s| s.check_ended(pid, succeeded));
            }
        }
    }
}
