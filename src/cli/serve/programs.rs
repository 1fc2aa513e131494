//! The programs that hold slots and were started by this server. They go on when it ends, unless they are told to end.

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
    /// Whether none is started any more.
    is_over: bool,
    /// Those that may still go on. One whose descriptor could not be opened is not here, and ends by itself.
    all: Vec<OwnedFd>,
}

impl Programs {
    /// Starts a program.
    ///
    /// # Errors
    /// It cannot be started, or the server ends.
    pub(super) fn start(&self, command: &mut Command) -> io::Result<Child> {
        // Locked until the program is in the list: none is started behind the back of somebody who ends all.
        let mut started = self.lock();
        if started.is_over {
            return Err(io::Error::other("the server ends"));
        }
        let child = command.spawn()?;
        started.all.retain(goes_on);
        started.all.extend(pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).ok());
        Ok(child)
    }

    fn lock(&self) -> MutexGuard<'_, Started> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "lab")]
impl Programs {
    /// Sends a signal to those that go on, and starts none any more.
    pub(in crate::cli) fn end(&self, signal: rustix::process::Signal) {
        let mut started = self.lock();
        started.is_over = true;
        for program in &started.all {
            // One that has ended meanwhile cannot be told, and need not be.
            let _gone = rustix::process::pidfd_send_signal(program, signal);
        }
    }

    /// Whether one goes on.
    pub(in crate::cli) fn go_on(&self) -> bool {
        self.lock().all.iter().any(goes_on)
    }
}

/// Whether a program has not ended.
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

    /// A program that would go on; it keeps no output open that somebody waits for.
    fn sleeps() -> Command {
        let mut sleeps = Command::new("sleep");
        sleeps.arg("60").stdout(Stdio::null()).stderr(Stdio::null());
        sleeps
    }

    #[test]
    fn all_are_told_to_end_and_none_is_started_afterwards() {
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
    fn one_that_has_ended_is_forgotten_and_its_number_is_not_used() {
        let programs = Programs::default();
        let mut first = programs.start(&mut Command::new("true")).unwrap();
        first.wait().unwrap();
        let mut second = programs.start(&mut sleeps()).unwrap();
        assert_eq!(programs.lock().all.len(), 1);
        programs.end(Signal::KILL);
        second.wait().unwrap();
    }
}
