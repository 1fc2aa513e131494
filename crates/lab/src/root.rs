//! The lab's first process, its root: the router between the regions, and the power supply of the hosts. It starts the hosts, notices when
//! one ends, and boots it again if it restarts. When the root ends, the kernel ends all that is in the lab.
//!
//! It has no address outside the lab, and never changes anything outside its namespaces.

mod cables;
pub(crate) use cables::configure_own_end;
mod disk;
mod event;
mod names;
mod power;
mod serve;
mod watch;

use std::{fs::File, io::Read as _, os::fd::OwnedFd, path::Path, process::ExitCode};

use nix::mount::MsFlags;

use crate::{
    LabError, LabSpec,
    error::Doing as _,
    report::{Report, inherited},
    sys::{mounts, process},
};

/// Entry point of the root. Its arguments are numbers of inherited descriptors, `spec listener report [lifeline]`: the lab's description as
/// JSON, the socket for requests, the pipe for the report of the start, and, if the lab ends with its starter, a pipe that
/// closes when the starter ends.
pub(crate) fn main(words: &[String]) -> ExitCode {
    let Some(mut fds) = inherited(words).filter(|fds| fds.len() == 3 || fds.len() == 4) else {
        eprintln!("the root of a lab cannot be started by hand: `firedrill lab up` starts it");
        return ExitCode::from(2);
    };
    process::set_name("lab-root");
    let lifeline = (fds.len() == 4).then(|| fds.pop()).flatten();
    let (Some(report), Some(listener), Some(spec)) = (fds.pop(), fds.pop(), fds.pop()) else {
        return ExitCode::from(2);
    };
    let started = prepare(spec, lifeline.is_some()).and_then(|spec| {
        let runtime = runtime()?;
        Ok((spec, runtime))
    });
    match started {
        Err(error) => {
            Report::of(&error).send(report);
            ExitCode::FAILURE
        }
        Ok((spec, runtime)) => runtime.block_on(power::run(spec, listener, report, lifeline)),
    }
}

/// Makes a runtime without threads of its own, because the root forks, and a fork copies only one thread.
fn runtime() -> Result<tokio::runtime::Runtime, LabError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().doing("start a runtime")
}

/// Separates this process from the one that started it, mounts the file systems of the lab, and reads the lab's description. With
/// `dies_with_parent` the kernel kills the root when the thread that started it ends.
fn prepare(spec: OwnedFd, dies_with_parent: bool) -> Result<LabSpec, LabError> {
    if dies_with_parent {
        process::die_with_parent().doing("tie the lab to the process that started it")?;
    }
    // A session of its own, so that Ctrl-C at the terminal does not reach the services in the hosts.
    nix::unistd::setsid().doing("start a session without a terminal")?;
    detach_streams()?;
    nix::unistd::chdir("/").doing("change to the directory /")?;
    mounts::make_private()?;
    let restricted = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mounts::virtual_fs("proc", Path::new("/proc"), restricted, "")?;
    // In a container the kernel may permit only a read-only sysfs. That is enough, because nothing here writes to it.
    mounts::virtual_fs("sysfs", Path::new("/sys"), restricted, "")
        .or_else(|_| mounts::virtual_fs("sysfs", Path::new("/sys"), restricted | MsFlags::MS_RDONLY, ""))?;
    mounts::tmpfs(Path::new("/run"), "755")?;
    let mut json = Vec::new();
    File::from(spec).read_to_end(&mut json).doing("read the lab's description")?;
    serde_json::from_slice(&json).doing("read the lab's description")
}

/// Redirects the standard streams to `/dev/null`: the process that started the lab may end, and hosts must not write to
/// its terminal.
fn detach_streams() -> Result<(), LabError> {
    let null = File::options().read(true).write(true).open("/dev/null").doing("open /dev/null")?;
    nix::unistd::dup2_stdin(&null).doing("redirect the standard input to /dev/null")?;
    nix::unistd::dup2_stdout(&null).doing("redirect the standard output to /dev/null")?;
    nix::unistd::dup2_stderr(&null).doing("redirect the standard error to /dev/null")
}
