//! Reads processes from `/proc`, and sends signals that cannot reach a wrong process.
//!
//! A process is identified by its pid and its start time. This module never sends a signal by pid alone, and never to a process group.

use std::{
    fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

/// The flag of kernel threads (`PF_KTHREAD`).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// The identity of a process. A process that gets the same pid later has another identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The pid.
    pub pid: i32,
    /// The process's start time, in clock ticks after boot (`/proc/PID/stat`, field 22).
    pub start_ticks: u64,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.pid, self.start_ticks)
    }
}

impl std::str::FromStr for Name {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (pid, start_ticks) = text.split_once('@').unwrap_or((text, ""));
        Ok(Self { pid: pid.parse()?, start_ticks: start_ticks.parse()? })
    }
}

/// The content of `/proc/PID/stat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The process.
    pub name: Name,
    /// The program's name, cut to 15 bytes by the kernel.
    pub comm: String,
    /// The state: `R`, `S`, `D`, `T` (stopped), `t` (traced), `Z` (ended, not yet reaped), …
    pub state: char,
    /// The pid of the parent.
    pub ppid: i32,
    /// The process group.
    pub pgrp: i32,
    /// The session.
    pub session: i32,
    /// Processor time that the process has used in user and kernel mode together, in clock ticks.
    pub cpu_ticks: u64,
    flags: u64,
}

impl Stat {
    /// Reads the process that has this pid now; `None` if no process has it.
    ///
    /// # Errors
    /// `/proc` could not be read, or has an unknown format.
    pub fn read(pid: i32) -> io::Result<Option<Self>> {
        Ok(match slurp(pid, "stat")? {
            Some(text) => Some(Self::parse(&text).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat is not understood"))
            })?),
            None => None,
        })
    }

    /// Parses the text of `/proc/PID/stat`. The name in it may contain spaces and parentheses.
    fn parse(text: &[u8]) -> Option<Self> {
        let open = text.iter().position(|byte| *byte == b'(')?;
        let close = text.iter().rposition(|byte| *byte == b')')?;
        let pid = std::str::from_utf8(text.get(..open)?).ok()?.trim().parse().ok()?;
        let comm = String::from_utf8_lossy(text.get(open + 1..close)?).into_owned();
        let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
        // The following indices count from field 3, the state.
        let field: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |index: usize| field.get(index)?.parse::<u64>().ok();
        let signed = |index: usize| field.get(index)?.parse::<i32>().ok();
        Some(Self {
            name: Name { pid, start_ticks: number(19)? },
            comm,
            state: field.first()?.chars().next()?,
            ppid: signed(1)?,
            pgrp: signed(2)?,
            session: signed(3)?,
            flags: number(6)?,
            cpu_ticks: number(11)?.saturating_add(number(12)?),
        })
    }

    /// Whether the process is a zombie: it has ended, but its parent has not read its exit status yet.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Whether a signal has stopped the process.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.state == 'T'
    }

    /// Whether the process is a kernel thread.
    #[must_use]
    pub fn is_kernel_thread(&self) -> bool {
        self.flags & KERNEL_THREAD != 0
    }
}

/// Reads a process; `None` if it has ended, or if another process has its pid.
///
/// # Errors
/// `/proc` could not be read.
pub fn alive(name: Name) -> io::Result<Option<Stat>> {
    Ok(Stat::read(name.pid)?.filter(|stat| stat.name == name && !stat.is_dead()))
}

/// Returns all live processes, sorted by pid.
///
/// # Errors
/// `/proc` could not be read.
pub fn all() -> io::Result<Vec<Stat>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        found.extend(Stat::read(pid)?.filter(|stat| !stat.is_dead()));
    }
    found.sort_by_key(|stat| stat.name);
    Ok(found)
}

/// Returns the command line of a process, with its words joined by spaces. Empty for a kernel thread, and if the process has ended.
///
/// # Errors
/// The command line could not be read.
pub fn command_line(pid: i32) -> io::Result<String> {
    let bytes = slurp(pid, "cmdline")?.unwrap_or_default();
    let words: Vec<_> =
        bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty()).map(String::from_utf8_lossy).collect();
    Ok(words.join(" "))
}

/// Returns the path of a process's program; `None` if it is unknown. If the file was replaced since the start, the path is still the old one.
#[must_use]
pub fn executable(pid: i32) -> Option<PathBuf> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let bytes = path.as_os_str().as_bytes();
    Some(match bytes.strip_suffix(b" (deleted)") {
        Some(before) => Path::new(std::ffi::OsStr::from_bytes(before)).to_owned(),
        None => path,
    })
}

/// Returns the effective user of a process; `None` if the process has ended.
///
/// # Errors
/// The user could not be read.
pub fn user(pid: i32) -> io::Result<Option<u32>> {
    let text = slurp(pid, "status")?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find_map(|line| line.strip_prefix("Uid:"));
    Ok(line.and_then(|ids| ids.split_ascii_whitespace().nth(1)).and_then(|id| id.parse().ok()))
}

/// Returns the processes among `processes` that descend from `root`, and `root` itself.
#[must_use]
pub fn family(root: i32, processes: &[Stat]) -> Vec<&Stat> {
    let mut known = std::collections::BTreeSet::from([root]);
    // Pids start again after the largest, so a child may have a smaller pid than its parent. Therefore this is repeated until nothing is added.
    loop {
        let before = known.len();
        known.extend(
            processes
                .iter()
                .filter(|stat| known.contains(&stat.ppid))
                .map(|stat| stat.name.pid)
                .collect::<Vec<_>>(),
        );
        if known.len() == before {
            break;
        }
    }
    processes.iter().filter(|stat| known.contains(&stat.name.pid)).collect()
}

/// A process by its pidfd, so that signals cannot reach another process.
#[derive(Debug)]
pub struct Handle {
    name: Name,
    fd: OwnedFd,
}

impl Handle {
    /// Opens a process; `None` if it has ended, or if another process has its pid.
    ///
    /// # Errors
    /// The kernel refused (no permission, no descriptors left).
    pub fn open(name: Name) -> io::Result<Option<Self>> {
        let Some(pid) = Pid::from_raw(name.pid).filter(|_| name.pid > 0) else { return Ok(None) };
        let fd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // The identity is checked after opening: the descriptor refers to the process that had the pid at that moment.
        Ok(alive(name)?.map(|_| Self { name, fd }))
    }

    /// Returns the identity of the process.
    #[must_use]
    pub fn name(&self) -> Name {
        self.name
    }

    /// Sends a signal. Returns false if the process has ended.
    ///
    /// # Errors
    /// The kernel refused (no permission).
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        match pidfd_send_signal(self.fd.as_fd(), signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the process has ended. Returns false if it still lives after `at_most`.
    ///
    /// # Errors
    /// The kernel could not wait.
    pub fn ended_within(&self, at_most: Duration) -> io::Result<bool> {
        let end = Instant::now() + at_most;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], Some(&left)) {
                Ok(ready) => return Ok(ready > 0),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Reads a file of a process in `/proc`; `None` if the process has ended.
fn slurp(pid: i32, file: &str) -> io::Result<Option<Vec<u8>>> {
    match fs::read(format!("/proc/{pid}/{file}")) {
        Ok(bytes) => Ok(Some(bytes)),
        // If a process ends between open and read, the read fails with ESRCH.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH) =>
        {
            Ok(None)
        }
        Err(error) => Err(io::Error::new(error.kind(), format!("cannot read /proc/{pid}/{file}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stat_line(comm: &str) -> String {
        format!(
            "42 ({comm}) T 7 8 9 0 -1 4194560 5 0 0 0 30 12 0 0 20 0 1 0 123456 1000 200 18446744073709551615"
        )
    }

    proptest! {
        #[test]
        fn a_name_may_contain_anything(comm in r"[ -~]{0,15}") {
            let stat = Stat::parse(stat_line(&comm).as_bytes()).expect("parses");
            prop_assert_eq!(&stat.comm, &comm);
            prop_assert_eq!((stat.name.pid, stat.name.start_ticks, stat.state), (42, 123_456, 'T'));
            prop_assert_eq!((stat.ppid, stat.pgrp, stat.session, stat.cpu_ticks), (7, 8, 9, 42));
        }

        #[test]
        fn garbage_is_no_process_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Stat::parse(&bytes);
        }

        #[test]
        fn names_read_as_they_print(pid in 1_i32.., start_ticks: u64) {
            let name = Name { pid, start_ticks };
            prop_assert_eq!(name.to_string().parse::<Name>(), Ok(name));
        }
    }

    #[test]
    fn another_start_time_is_another_process() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let pid = i32::try_from(child.id()).expect("a pid");
        let name = Stat::read(pid).expect("proc").expect("lives").name;
        let other = Name { start_ticks: name.start_ticks + 1, ..name };
        assert!(Handle::open(other).expect("proc").is_none(), "another process must not be opened");
        let handle = Handle::open(name).expect("proc").expect("lives");
        assert!(!handle.ended_within(Duration::ZERO).expect("poll"));
        assert!(handle.signal(Signal::KILL).expect("may"));
        assert!(handle.ended_within(Duration::from_secs(10)).expect("poll"), "ended, though not reaped");
        assert_eq!(alive(name).expect("proc"), None);
        child.wait().expect("reaped");
        assert!(!handle.signal(Signal::KILL).expect("gone is no error"));
        assert!(Handle::open(name).expect("proc").is_none());
    }

    #[test]
    fn this_process_is_found() {
        let me = i32::try_from(std::process::id()).expect("a pid");
        let all = all().expect("proc");
        let found = all.iter().find(|stat| stat.name.pid == me).expect("listed");
        assert!(!found.is_kernel_thread());
        assert!(command_line(me).expect("proc").contains("firedrill"));
        assert_eq!(user(me).expect("proc"), Some(rustix::process::geteuid().as_raw()));
        assert!(family(found.ppid, &all).iter().any(|stat| stat.name.pid == me));
    }
}
