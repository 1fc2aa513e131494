//! Finds, identifies and ends processes by their pidfds, and ties a process to its parent. Never ends a process by its pid alone, which
//! another process may have by then.

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Kills a process. Succeeds if it has ended already.
pub(crate) fn kill(pidfd: &OwnedFd) -> io::Result<()> {
    match pidfd_send_signal(pidfd, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Waits until a process has ended, for at most `at_most_ms` milliseconds. Returns whether it has ended.
pub(crate) fn wait_gone(pidfd: &OwnedFd, at_most_ms: i32) -> io::Result<bool> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let timeout = PollTimeout::try_from(at_most_ms).unwrap_or(PollTimeout::NONE);
    let mut polled = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut polled, timeout) {
            Err(nix::Error::EINTR) => {}
            other => return Ok(other? > 0),
        }
    }
}

/// Opens a process by its pid; `None` if no process with this pid started at this time.
pub(crate) fn open_if_same(pid: i32, start_ticks: u64) -> io::Result<Option<OwnedFd>> {
    let Some(number) = Pid::from_raw(pid) else { return Ok(None) };
    let pidfd = match pidfd_open(number, PidfdFlags::empty()) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    Ok((self::start_ticks(pid) == Some(start_ticks)).then_some(pidfd))
}

/// Returns the time at which a process started, in clock ticks after boot; `None` if it has ended or is a zombie.
pub(crate) fn start_ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(") ")?.1;
    let mut words = after_name.split(' ');
    let state = words.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    words.nth(18)?.parse().ok()
}

/// Returns the pid of a process, as in this process's `/proc`.
pub(crate) fn pid_of(pidfd: &OwnedFd) -> io::Result<i32> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    info.lines()
        .find_map(|line| line.strip_prefix("Pid:"))
        .and_then(|n| n.trim().parse().ok())
        .filter(|pid| *pid > 0)
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the process is gone"))
}

/// Returns the pids, as in this process's `/proc`, of all processes in the pid namespace of the process `pid`.
pub(crate) fn namespace_members(pid: i32) -> io::Result<Vec<i32>> {
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid"));
    let wanted = namespace(pid)?;
    let numbers = fs::read_dir("/proc")?.filter_map(|e| e.ok()?.file_name().to_str()?.parse::<i32>().ok());
    Ok(numbers.filter(|pid| namespace(*pid).is_ok_and(|n| n == wanted)).collect())
}

/// Makes the kernel kill this process when the thread that forked it ends. Must be called after exec and after a change of user, because
/// they clear the setting.
pub(crate) fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Returns the number of threads of this process.
pub(crate) fn threads() -> io::Result<usize> {
    Ok(fs::read_dir("/proc/self/task")?.count())
}

/// Sets the name of this process that `ps` shows. It is cut to 15 bytes.
pub(crate) fn set_name(name: &str) {
    let mut short = name.as_bytes().to_vec();
    short.truncate(15);
    if let Ok(name) = std::ffi::CString::new(short) {
        // A failure is ignored: the name is for display only.
        let _ = rustix::thread::set_name(&name);
    }
}
