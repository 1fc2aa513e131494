//! Processes by pidfd, never by bare pid: waits for them, kills them, continues them.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid};

use crate::bell::readable;

/// A process that this one may wait for, or only watch.
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    fd: OwnedFd,
    ended: Option<Option<i32>>,
    own: bool,
}

impl Child {
    /// Opens a child of this process.
    pub(super) fn of(pid: nix::unistd::Pid) -> io::Result<Self> {
        Self::open(Pid::from_raw(pid.as_raw()).ok_or(io::ErrorKind::InvalidInput)?, true)
    }

    /// Opens another process. The caller knows that the pid is the right one.
    pub(super) fn other(pid: Pid) -> io::Result<Self> {
        Self::open(pid, false)
    }

    /// Opens the same process, for a caller that is not its parent.
    pub(super) fn as_other(&self) -> io::Result<Self> {
        Ok(Self { pid: self.pid, fd: self.fd.try_clone()?, ended: None, own: false })
    }

    fn open(pid: Pid, own: bool) -> io::Result<Self> {
        Ok(Self { pid, fd: pidfd_open(pid, PidfdFlags::empty())?, ended: None, own })
    }

    pub(super) const fn raw(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Whether it has ended; if so, its exit code, or `None` if a signal killed it or the code is unknown.
    pub(super) fn ended(&mut self) -> Option<Option<i32>> {
        if self.ended.is_none() && readable(&[&self.fd], Duration::ZERO) {
            // A zombie's pid is not reused, so waiting by pid is safe here.
            let code = if self.own {
                waitpid(Some(self.pid), WaitOptions::NOHANG)
                    .ok()
                    .flatten()
                    .and_then(|(_, status)| status.exit_status())
            } else {
                None
            };
            self.ended = Some(code);
        }
        self.ended
    }

    /// Kills it and waits until it is gone; for a process that hangs in the kernel, only for a few seconds.
    pub(super) fn kill(&mut self) {
        if self.ended().is_none() {
            let _ = pidfd_send_signal(&self.fd, Signal::KILL);
            readable(&[&self.fd], Duration::from_secs(5));
            self.ended();
        }
    }

    /// Continues it, in case it was stopped.
    pub(super) fn resume(&self) {
        let _ = pidfd_send_signal(&self.fd, Signal::CONT);
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Keeps this process alive under faults on memory: pages that it has, or uses from then on, stay in memory, and the kernel's OOM killer
/// spares it. Without the permission for that it does without.
pub(super) fn harden() {
    let _ = std::fs::write("/proc/self/oom_score_adj", "-1000");
    // On fault: locking the whole program, most of which belongs to the worker, would cost some ten MiB for nothing.
    // SAFETY: changes no memory, only whether it may be paged out.
    let _ = unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) };
}
