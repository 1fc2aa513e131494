//! Processes by descriptor: identifies them, ends them, and ties them to their parent.

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Kills the process. Absent is success.
pub(crate) fn kill(pidfd: &OwnedFd) -> io::Result<()> {
    match pidfd_send_signal(pidfd, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Waits until the process is gone, at most that long. Returns whether it is.
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

/// Opens a process by its pid, if it is still the one that started at that time.
pub(crate) fn open_if_same(pid: i32, start_ticks: u64) -> io::Result<Option<OwnedFd>> {
    let Some(number) = Pid::from_raw(pid) else { return Ok(None) };
    let pidfd = match pidfd_open(number, PidfdFlags::empty()) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    Ok((self::start_ticks(pid) == Some(start_ticks)).then_some(pidfd))
}

/// Returns when a process started, in clock ticks after boot; `None` if it is gone or a zombie.
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

/// Returns the process's pid in this process's `/proc`.
pub(crate) fn pid_of(pidfd: &OwnedFd) -> io::Result<i32> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    info.lines()
        .find_map(|line| line.strip_prefix("Pid:"))
        .and_then(|n| n.trim().parse().ok())
        .filter(|pid| *pid > 0)
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the process is gone"))
}

/// Returns all processes in this one's pid namespace, by their pids in this process's `/proc`.
pub(crate) fn namespace_members(pid: i32) -> io::Result<Vec<i32>> {
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid"));
    let wanted = namespace(pid)?;
    let numbers = fs::read_dir("/proc")?.filter_map(|e| e.ok()?.file_name().to_str()?.parse::<i32>().ok());
    Ok(numbers.filter(|pid| namespace(*pid).is_ok_and(|n| n == wanted)).collect())
}

/// Makes the kernel kill this process when the thread that forked it ends. Set after exec, because a change of user
/// clears it.
pub(crate) fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Returns the number of threads of this process.
pub(crate) fn threads() -> io::Result<usize> {
    Ok(fs::read_dir("/proc/self/task")?.count())
}

/// Sets the name that `ps` shows.
pub(crate) fn set_name(name: &str) {
    let mut short = name.as_bytes().to_vec();
    short.truncate(15);
    if let Ok(name) = std::ffi::CString::new(short) {
        // For display only: a failure changes nothing.
        let _ = rustix::thread::set_name(&name);
    }
}
