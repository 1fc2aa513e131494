//! Runs a command in a host. For this, the binary is started again as a helper process, because only a single-threaded process can enter a
//! user namespace. The helper enters the host's namespaces, and stays the command's parent. It never runs anything outside of the host.

use std::{
    ffi::{CString, OsString},
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd},
        unix::{ffi::OsStrExt as _, net::UnixStream, process::CommandExt as _},
    },
    path::Path,
    process::{Command, ExitCode},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigHandler, Signal, raise, signal},
        wait::{WaitStatus, waitpid},
    },
    unistd::{ForkResult, Gid, Pid, Uid, execvp, fork, setgroups, setresgid, setresuid},
};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use crate::{
    HIDDEN, LabError, SELF_EXE,
    error::Doing as _,
    message::{Answer, Request, ask},
    report::{Report, inherited},
    sys::{process, seccomp},
};

/// Prepares the helper process that runs `argv` in a host. `program` is a binary that calls [`crate::dispatch()`].
///
/// `first` is a descriptor of the host's first process, `control` a connection to the lab's root process.
pub(crate) fn command(
    program: &Path,
    (first, control): (OwnedFd, OwnedFd),
    host: &str,
    argv: &[OsString],
) -> Command {
    let keep = [first.as_raw_fd(), control.as_raw_fd()];
    let mut command = Command::new(program);
    command.arg(HIDDEN).arg("exec").args(keep.map(|fd: RawFd| fd.to_string())).arg(host).args(argv);
    // SAFETY: only system calls between fork and exec. The descriptors live as long as the closure, so their numbers
    // stay valid.
    unsafe {
        command.pre_exec(move || {
            for fd in [&first, &control] {
                rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
            }
            Ok(())
        });
    }
    command
}

/// Entry point of the helper. Its arguments are the descriptors of the host's first process and of the connection to the lab's root
/// process, the host's name, and the command.
pub(crate) fn main(rest: &[OsString]) -> ExitCode {
    let words: Vec<String> = rest.iter().take(3).map(|w| w.to_string_lossy().into_owned()).collect();
    let fds = words.get(..2).and_then(inherited).and_then(|fds| <[_; 2]>::try_from(fds).ok());
    let (Some([first, control]), Some(host), Some(argv)) = (fds, words.get(2), rest.get(3..)) else {
        eprintln!("commands in hosts are run with `lab exec`");
        return ExitCode::from(2);
    };
    match run(&first, &control.into(), host, argv) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}", Report::of(&error).error.unwrap_or_default());
            ExitCode::from(126)
        }
    }
}

/// Enters the host and runs the command there as root. Returns the command's exit code.
fn run(first: &OwnedFd, control: &UnixStream, host: &str, argv: &[OsString]) -> Result<ExitCode, LabError> {
    let namespaces = ThreadNameSpaceType::USER
        | ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::PROCESS_ID
        | ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::CONTROL_GROUP;
    move_into_thread_name_spaces(first.as_fd(), namespaces).doing(format!("enter host {host}"))?;
    // The kernel refuses this in the namespace of an unprivileged user. Then the groups of the user who started the lab stay.
    let _ = setgroups(&[]);
    setresgid(Gid::from_raw(0), Gid::from_raw(0), Gid::from_raw(0)).doing("become root in the host")?;
    setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).doing("become root in the host")?;
    let words: Result<Vec<CString>, _> = argv.iter().map(|w| CString::new(w.as_bytes())).collect();
    let words = words.doing("read the command")?;
    let program = if words[0].as_bytes() == SELF_EXE.as_bytes() { c"/proc/self/exe" } else { &words[0] };
    // The command inherits the filter; this process keeps the listener.
    let listener = seccomp::watch_reboot().ok();
    // SAFETY: this process has one thread.
    match unsafe { fork() }.doing("start the command")? {
        ForkResult::Child => {
            process::die_with_parent().doing("tie the command to its parent")?;
            let Err(error) = execvp(program, &words);
            Err(LabError::os(format!("run {}", words[0].to_string_lossy()), error))
        }
        ForkResult::Parent { child } => {
            for ignored in [Signal::SIGINT, Signal::SIGQUIT] {
                // The terminal sends these signals to the command, too; this process must stay to see its end.
                // SAFETY: the signal is ignored, so no handler of this program is involved.
                let _ = unsafe { signal(ignored, SigHandler::SigIgn) };
            }
            attend(child, listener, control, host)
        }
    }
}

/// Waits for the end of the command, and returns its exit code. If the command is about to bring the host down, the lab's root process is
/// told first, so that it pulls the host's cable.
fn attend(
    child: Pid,
    listener: Option<OwnedFd>,
    control: &UnixStream,
    host: &str,
) -> Result<ExitCode, LabError> {
    let raw = rustix::process::Pid::from_raw(child.as_raw());
    let pidfd = raw
        .ok_or(rustix::io::Errno::SRCH)
        .and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()))
        .doing("watch the command")?;
    let mut listener = listener;
    loop {
        let mut polled = vec![PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        polled.extend(listener.as_ref().map(|l| PollFd::new(l.as_fd(), PollFlags::POLLIN)));
        match poll(&mut polled, PollTimeout::NONE) {
            Err(nix::Error::EINTR) => continue,
            other => other.doing("watch the command")?,
        };
        if polled[0].revents().is_some_and(|r| !r.is_empty()) {
            break;
        }
        match listener.as_ref().map(seccomp::waiting).transpose().doing("watch the command")? {
            Some(seccomp::Waiting::Call) => {
                let Some(listening) = listener.as_ref().map(OwnedFd::as_fd) else { continue };
                let Ok(call) = seccomp::receive(listening) else { continue };
                if call.ends_host {
                    // A failure is ignored: the host goes down in any case, but sends some last packets.
                    let _ = ask::<Answer>(control, &Request::GoingDown(host.into()));
                }
                seccomp::let_go_on(listening, call).doing("let the command go on")?;
            }
            Some(seccomp::Waiting::Over) => listener = None,
            Some(seccomp::Waiting::Nothing) | None => {}
        }
    }
    Ok(match waitpid(child, None).doing("hear how the command ended")? {
        WaitStatus::Exited(_, code) => ExitCode::from(u8::try_from(code).unwrap_or(255)),
        WaitStatus::Signaled(_, how, _) => {
            // This process ends with the same signal as the command, so that the caller sees it.
            // SAFETY: restores the default action; no handler is involved.
            let _ = unsafe { signal(how, SigHandler::SigDfl) };
            let _ = raise(how);
            ExitCode::from(255)
        }
        _ => ExitCode::from(255),
    })
}
