//! The lab's first process: the router between the regions, and the power supply of the hosts. It makes hosts, notices
//! their ends, and boots those that restart; when it ends, everything in the lab is gone.
//!
//! It has no address outside the lab, and never touches anything outside its namespaces.

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

/// Entry point of the root: `spec listener report [lifeline]`, all descriptors.
pub(crate) fn main(words: &[String]) -> ExitCode {
    let Some(mut fds) = inherited(words).filter(|f| f.len() == 3 || f.len() == 4) else {
        eprintln!("the root of a lab is started by the lab itself");
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

/// Makes a runtime without threads, because the root forks.
fn runtime() -> Result<tokio::runtime::Runtime, LabError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().doing("start a runtime")
}

fn prepare(spec: OwnedFd, dies_with_parent: bool) -> Result<LabSpec, LabError> {
    if dies_with_parent {
        process::die_with_parent().doing("tie the lab to the process that started it")?;
    }
    // Otherwise a Ctrl-C at the terminal would reach the services in the hosts.
    nix::unistd::setsid().doing("leave the terminal")?;
    detach_streams()?;
    nix::unistd::chdir("/").doing("leave the directory")?;
    mounts::make_private()?;
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mounts::virtual_fs("proc", Path::new("/proc"), quiet, "")?;
    // It may be read-only, as in a container: nothing here writes to it.
    mounts::virtual_fs("sysfs", Path::new("/sys"), quiet, "")
        .or_else(|_| mounts::virtual_fs("sysfs", Path::new("/sys"), quiet | MsFlags::MS_RDONLY, ""))?;
    mounts::tmpfs(Path::new("/run"), "755")?;
    let mut json = Vec::new();
    File::from(spec).read_to_end(&mut json).doing("read the lab's description")?;
    serde_json::from_slice(&json).doing("read the lab's description")
}

/// Redirects the standard streams to `/dev/null`: the process that started the lab may end, and hosts must not write to
/// its terminal.
fn detach_streams() -> Result<(), LabError> {
    let null = File::options().read(true).write(true).open("/dev/null").doing("open /dev/null")?;
    nix::unistd::dup2_stdin(&null).doing("leave the terminal")?;
    nix::unistd::dup2_stdout(&null).doing("leave the terminal")?;
    nix::unistd::dup2_stderr(&null).doing("leave the terminal")
}
