//! Starts the programs of a host's services: the services themselves, and their ready checks.

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

/// The environment of services.
const BASE_ENVIRONMENT: [(&str, &str); 2] = [("PATH", SERVICE_PATH), ("HOME", "/root")];

/// Starts a command as the service's user and with its environment, in a session of its own; it writes to `out`. Returns its pid. It
/// is reaped by the host's first process, like every other.
pub(super) fn start(service: &ServiceSpec, argv: &[String], out: File) -> io::Result<i32> {
    let (program, words) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(if program == SELF_EXE { "/proc/self/exe" } else { program });
    command.args(words).env_clear().envs(BASE_ENVIRONMENT).envs(&service.env).current_dir("/");
    command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
    let user = service.user.map(Maps::of);
    // SAFETY: only system calls between fork and exec; the texts were made before.
    unsafe {
        command.pre_exec(move || {
            nix::unistd::setsid()?;
            default_signals();
            user.as_ref().map_or(Ok(()), Maps::enter)
        });
    }
    Ok(i32::try_from(command.spawn()?.id()).unwrap_or(-1))
}

/// Gives all signals their default effect, as a service manager does. A shell starts what runs in its background with SIGINT ignored, and
/// `nohup` ignores SIGHUP; both are inherited, and a shell cannot trap a signal that was ignored when it began.
fn default_signals() {
    for signal in 1..=64 {
        // SAFETY: allowed between fork and exec; what has no default effect to set (SIGKILL, SIGSTOP) is an error that changes nothing.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// The maps of a user namespace in which the host's root is one other user.
struct Maps {
    user: String,
    group: String,
}

impl Maps {
    fn of(user: UserSpec) -> Self {
        Self { user: format!("{} 0 1", user.uid), group: format!("{} 0 1", user.gid) }
    }

    /// Moves this process, which has one thread, into the namespace.
    fn enter(&self) -> io::Result<()> {
        unshare(CloneFlags::CLONE_NEWUSER)?;
        // The kernel takes a map of groups from an unprivileged process only when it cannot change its groups any more.
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
