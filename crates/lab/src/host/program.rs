//! Starts the programs of a host's services: the services and their ready checks. Never waits for a program.

use std::{
    ffi::CStr,
    fs::File,
    io,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
};

use nix::sched::{CloneFlags, unshare};
use rustix::fs::{Mode, OFlags};

use crate::{SELF_EXE, SERVICE_PATH, ServiceSpec, UserSpec};

/// Environment variables of all services.
const BASE_ENVIRONMENT: [(&str, &str); 2] = [("PATH", SERVICE_PATH), ("HOME", "/root")];

/// Starts a command in a new session, as the service's user and with the service's environment. Its output goes to `out`. Returns its
/// pid. The host's first process reaps it, as it reaps every process of the host.
pub(super) fn start(service: &ServiceSpec, argv: &[String], out: File) -> io::Result<i32> {
    let (program, words) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(if program == SELF_EXE { "/proc/self/exe" } else { program });
    command.args(words).env_clear().envs(BASE_ENVIRONMENT).envs(&service.env).current_dir("/");
    command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
    let user = service.user.map(Maps::of);
    // SAFETY: only system calls between fork and exec; all texts were allocated before the fork.
    unsafe {
        command.pre_exec(move || {
            nix::unistd::setsid()?;
            default_signals();
            user.as_ref().map_or(Ok(()), Maps::enter)
        });
    }
    Ok(i32::try_from(command.spawn()?.id()).unwrap_or(-1))
}

/// Gives all signals their default effect, as a service manager does. Otherwise the service would inherit ignored signals: a shell starts
/// background jobs with SIGINT ignored, and `nohup` ignores SIGHUP. A shell script cannot trap a signal that was ignored at its start.
fn default_signals() {
    for signal in 1..=64 {
        // SAFETY: allowed between fork and exec. For SIGKILL and SIGSTOP, the call fails and changes nothing.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// The id maps of a user namespace in which the host's root appears as another user. Each is the content of a file in `/proc`.
struct Maps {
    user: String,
    group: String,
}

impl Maps {
    /// Returns the maps for the user of a service.
    fn of(user: UserSpec) -> Self {
        Self { user: format!("{} 0 1", user.uid), group: format!("{} 0 1", user.gid) }
    }

    /// Moves this process into a new namespace with these maps. The process must have a single thread.
    fn enter(&self) -> io::Result<()> {
        unshare(CloneFlags::CLONE_NEWUSER)?;
        // The kernel accepts a group map from an unprivileged process only after setgroups was disabled.
        put(c"/proc/self/setgroups", "deny")?;
        put(c"/proc/self/gid_map", &self.group)?;
        put(c"/proc/self/uid_map", &self.user)
    }
}

/// Writes a file of `/proc` in one call, without allocating.
fn put(path: &CStr, text: &str) -> io::Result<()> {
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, text.as_bytes())?;
    Ok(())
}
