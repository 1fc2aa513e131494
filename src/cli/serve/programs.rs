//! The programs that this server has started to hold game days. They go on when the server ends, unless [`Programs::end`] ends them.

use std::{
    io,
    os::fd::OwnedFd,
    process::{Child, Command},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// The programs that a server has started.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Programs(Arc<Mutex<Started>>);

#[derive(Debug, Default)]
struct Started {
    /// Whether no further program is started.
    is_over: bool,
    /// Descriptors of the processes (pidfds) that may still go on. A process whose descriptor could not be opened is missing, and ends by
    /// itself.
    processes: Vec<OwnedFd>,
}

impl Programs {
    /// Starts a program.
    ///
    /// # Errors
    /// The program cannot be started, or [`Self::end`] was called before.
    pub(super) fn start(&self, command: &mut Command) -> io::Result<Child> {
        // Locked until the program is in the list, so that `end` misses no program.
        let mut started = self.lock();
        if started.is_over {
            return Err(io::Error::other("the server ends"));
        }
        let child = command.spawn()?;
        started.processes.retain(goes_on);
        started.processes.extend(pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).ok());
        Ok(child)
    }

    fn lock(&self) -> MutexGuard<'_, Started> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "lab")]
impl Programs {
    /// Sends a signal to all programs that go on. From now on no program is started.
    pub(in crate::cli) fn end(&self, signal: rustix::process::Signal) {
        let mut started = self.lock();
        started.is_over = true;
        for program in &started.processes {
            // An error means that the program has ended.
            let _gone = rustix::process::pidfd_send_signal(program, signal);
        }
    }

    /// Whether at least one program goes on.
    pub(in crate::cli) fn go_on(&self) -> bool {
        self.lock().processes.iter().any(goes_on)
    }
}

/// Whether a program has not ended. The descriptor of a process becomes readable when the process ends.
fn goes_on(program: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    !poll(&mut [PollFd::new(program, PollFlags::IN)], Some(&now)).is_ok_and(|ended| ended > 0)
}

#[cfg(all(test, feature = "lab"))]
mod tests {
    use std::{os::unix::process::ExitStatusExt as _, process::Stdio};

    use rustix::process::Signal;

    use super::*;

    /// A program that goes on for a minute. It does not keep the test's output open, which would make the test runner wait.
    fn sleeps() -> Command {
        let mut sleeps = Command::new("sleep");
        sleeps.arg("60").stdout(Stdio::null()).stderr(Stdio::null());
        sleeps
    }

    #[test]
    fn all_programs_get_the_signal_and_none_is_started_afterwards() {
        let programs = Programs::default();
        let mut children = [(); 2].map(|()| programs.start(&mut sleeps()).unwrap());
        assert!(programs.go_on());
        programs.end(Signal::TERM);
        for child in &mut children {
            assert_eq!(child.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));
        }
        assert!(!programs.go_on());
        assert!(programs.start(&mut sleeps()).unwrap_err().to_string().contains("the server ends"));
    }

    #[test]
    fn a_program_that_has_ended_is_forgotten() {
        let programs = Programs::default();
        let mut first = programs.start(&mut Command::new("true")).unwrap();
        first.wait().unwrap();
        let mut second = programs.start(&mut sleeps()).unwrap();
        assert_eq!(programs.lock().processes.len(), 1);
        programs.end(Signal::KILL);
        second.wait().unwrap();
    }
}
