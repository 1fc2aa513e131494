//! Watches, kills and continues processes by pidfd, never by pid alone, so that it never reaches another process with a reused
//! pid.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid};

use crate::bell::readable;

/// Another process of the agent: a child of this process, or one that it can only watch.
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    fd: OwnedFd,
    /// The result of [`Child::ended`], once the process has ended.
    ended: Option<Option<i32>>,
    /// Whether it is a child of this process, so that its exit code can be read.
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

    /// Opens the same process again, for a caller that is not its parent.
    pub(super) fn as_other(&self) -> io::Result<Self> {
        Ok(Self { pid: self.pid, fd: self.fd.try_clone()?, ended: None, own: false })
    }

    fn open(pid: Pid, own: bool) -> io::Result<Self> {
        Ok(Self { pid, fd: pidfd_open(pid, PidfdFlags::empty())?, ended: None, own })
    }

    /// Returns the pid as a number.
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

    /// Kills the process and waits until it has ended, for at most a few seconds if it hangs in the kernel.
    pub(super) fn kill(&mut self) {
        if self.ended().is_none() {
            let _ = pidfd_send_signal(&self.fd, Signal::KILL);
            readable(&[&self.fd], Duration::from_secs(5));
            self.ended();
        }
    }

    /// Continues the process, in case it was stopped.
    pub(super) fn resume(&self) {
        let _ = pidfd_send_signal(&self.fd, Signal::CONT);
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Protects this process from a lack of memory: pages that it has, or uses from now on, stay in memory, and the kernel's OOM killer spares
/// it. Skips the parts for which it has no permission.
pub(super) fn harden() {
    let _ = std::fs::write("/proc/self/oom_score_adj", "-1000");
    // MCL_ONFAULT locks only pages that are used. To lock the whole program, most of which belongs to the worker, would cost about ten MiB
    // for nothing.
    // SAFETY: changes no memory, only whether it may be paged out.
    let _ = unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) };
}
