//! The keeper: the process between a prober and a program. It was forked from a process with threads and never becomes another program, so it makes
//! system calls only: it allocates nothing and takes no lock.
//!
//! The kernel makes it the parent of all that lose theirs below it, however these left their group, session or parent. So whatever the program started is
//! always below the keeper, which ends its children until it has none. It does so when the program has ended, and when the prober's end of the socket is
//! closed. Nothing outlives the keeper, unless a signal ends the keeper itself. Only root can send that signal, or the prober's user where the
//! program runs as that user. Then the program is ended, but not what it started.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd as _, RawFd},
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    process::{
        Pid, Resource, Rlimit, Signal, getpid, getppid, getrlimit, kill_process, set_child_subreaper,
        set_parent_process_death_signal, setrlimit, setsid, umask,
    },
    thread::{Gid, Uid, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

use crate::reads::Account;

/// The children of a process with one thread.
pub(super) const CHILDREN: &CStr = c"/proc/thread-self/children";

/// Maximum number of files that a program may open.
const FILES: u64 = 1024;
/// Maximum size of a file that a program may write, in bytes.
const FILE_MOST: u64 = 64 * 1024 * 1024;
/// The last descriptor that is closed one by one, on kernels before 5.9.
const DESCRIPTORS: u64 = 65_536;
/// The time after which the children are listed anew, in milliseconds: the kernel may leave one out while others end.
const AGAIN_MS: i32 = 5;
/// Waits without an end, instead of a number of milliseconds.
const FOREVER: i32 = -1;
/// The number of the keeper's socket.
const SOCKET: RawFd = 0;
/// The first descriptor of a program behind its input, its output and its errors.
const BEHIND_STANDARD: libc::c_uint = 3;
/// The value of `oom_score_adj` by which a program is the first to go where memory is short.
const OOM_SCORE: &[u8] = b"500";

/// The time at which descriptors are closed.
#[derive(Clone, Copy)]
enum Close {
    /// At once.
    Now,
    /// When a program is executed.
    OnExec,
}

/// All values that a keeper needs, made before the fork.
pub(super) struct Keeping {
    account: Option<Ids>,
}

/// The user of a program.
struct Ids {
    user: Uid,
    group: Gid,
    groups: Vec<Gid>,
}

impl Keeping {
    pub(super) fn new(account: Option<Account>) -> Self {
        let ids = |account: Account| Ids {
            user: Uid::from_raw(account.user),
            group: Gid::from_raw(account.group),
            groups: account.groups.into_iter().map(Gid::from_raw).collect(),
        };
        // A user who is the same already has what is needed, and may not be allowed to choose groups.
        let own = rustix::process::geteuid().as_raw();
        Self { account: account.filter(|account| account.user != own).map(ids) }
    }

    /// Forks once more. Returns in the new process, which becomes the program; the process that called becomes the keeper, and never returns.
    pub(super) fn keep(&self, socket: RawFd) -> io::Result<()> {
        // The keeper's signals are those of nobody else: not of a terminal, and not of a group.
        let _ = setsid();
        signals(libc::SIG_BLOCK)?;
        set_child_subreaper(Some(getpid()))?;
        let keeper = getpid();
        // SAFETY: the child makes system calls only until it executes a program.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => self.become_program(keeper),
            child => watch(socket, child),
        }
    }

    /// Makes this process ready for the program, which has no more rights than its user.
    fn become_program(&self, keeper: Pid) -> io::Result<()> {
        setsid()?;
        for (resource, most) in [(Resource::Core, 0), (Resource::Nofile, FILES), (Resource::Fsize, FILE_MOST)]
        {
            // A limit is only lowered, because only root may raise one.
            let most = getrlimit(resource).maximum.map_or(most, |before| before.min(most));
            setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
        }
        umask(Mode::from_raw_mode(0o022));
        if let Some(Ids { user, group, groups }) = &self.account {
            // Where that is not possible, it is not needed.
            let _ = openat(CWD, c"/proc/self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
                .and_then(|file| rustix::io::write(&file, OOM_SCORE));
            set_thread_groups(groups)?;
            set_thread_res_gid(*group, *group, *group)?;
            set_thread_res_uid(*user, *user, *user)?;
        }
        // The program gets no more rights by executing one that has them.
        set_no_new_privs(true)?;
        // This comes after the change of users, which would take it back.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(keeper) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        for signal in 1..=libc::SIGRTMAX() {
            // SAFETY: no handler is installed. Signals that cannot be changed are left.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        signals(libc::SIG_UNBLOCK)?;
        descriptors(BEHIND_STANDARD, Close::OnExec);
        Ok(())
    }
}

/// Blocks all signals, or lets all of them through.
fn signals(how: libc::c_int) -> io::Result<()> {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigfillset` makes the set, and the process has one thread.
    let done = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::sigprocmask(how, all.as_ptr(), std::ptr::null_mut())
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Closes all descriptors from one on.
fn descriptors(from: libc::c_uint, when: Close) {
    let flags = match when {
        Close::Now => 0,
        Close::OnExec => libc::CLOSE_RANGE_CLOEXEC,
    };
    // SAFETY: nothing of this process uses a descriptor from there on any more.
    if unsafe { libc::syscall(libc::SYS_close_range, from, libc::c_uint::MAX, flags) } == 0 {
        return;
    }
    let last = getrlimit(Resource::Nofile).current.unwrap_or(DESCRIPTORS).min(DESCRIPTORS);
    for number in from..u32::try_from(last).unwrap_or(u32::MAX) {
        let Ok(number) = RawFd::try_from(number) else { return };
        // SAFETY: as above.
        unsafe {
            match when {
                Close::Now => libc::close(number),
                Close::OnExec => libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC),
            };
        }
    }
}

/// Waits until the program has ended, and says so, or until nobody listens any more. Then ends all that is left.
fn watch(socket: RawFd, program: libc::pid_t) -> ! {
    // The socket becomes the first descriptor, and the only one: others are the prober's, and the one by which the caller waits for the program.
    // SAFETY: this process has one thread, which uses these two numbers only.
    unsafe {
        libc::dup2(socket, SOCKET);
        libc::prctl(libc::PR_SET_NAME, c"firedrill-keep".as_ptr());
    }
    descriptors(1, Close::Now);
    let heard = child_signals();
    let patience_ms = if heard < 0 { AGAIN_MS } else { FOREVER };
    loop {
        if wait(heard, patience_ms) {
            break;
        }
        let mut ended = None;
        while let Some((child, status)) = reaped() {
            if child == program {
                ended = Some(status);
            }
        }
        if let Some(status) = ended {
            let bytes = status.to_le_bytes();
            // SAFETY: the kernel reads as many bytes as there are. Signals are blocked, so that a closed socket is an error that does not matter.
            unsafe { libc::write(SOCKET, bytes.as_ptr().cast(), bytes.len()) };
            break;
        }
    }
    end_all(heard)
}

/// Ends the children, and the children of these, until there are none. Then this process ends.
fn end_all(heard: RawFd) -> ! {
    loop {
        kill_children();
        while reaped().is_some() {}
        // SAFETY: asks only whether there is a child.
        let left = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
        if left < 0 {
            // SAFETY: ends this process and nothing else.
            unsafe { libc::_exit(0) };
        }
        // The socket may be closed, which says nothing here.
        let mut set = [libc::pollfd { fd: heard, events: libc::POLLIN, revents: 0 }];
        // SAFETY: one entry is given.
        unsafe { libc::poll(set.as_mut_ptr(), 1, AGAIN_MS) };
        drain(heard);
    }
}

/// Returns a descriptor that can be read when a child has ended; -1 where there is none.
fn child_signals() -> RawFd {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` makes the set.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
        libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    }
}

/// Waits until a child has ended, or the socket is closed. Returns true if the socket is closed, or if waiting failed.
fn wait(heard: RawFd, patience_ms: i32) -> bool {
    let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut set = [entry(SOCKET), entry(heard)];
    // SAFETY: two entries are given.
    if unsafe { libc::poll(set.as_mut_ptr(), 2, patience_ms) } < 0 {
        return true;
    }
    drain(heard);
    set[0].revents != 0
}

/// Throws away the signals that were heard of children.
fn drain(heard: RawFd) {
    let mut bytes = [0_u8; 1024];
    // SAFETY: the kernel writes as many bytes as there are at most.
    while unsafe { libc::read(heard, bytes.as_mut_ptr().cast(), bytes.len()) } > 0 {}
}

/// Takes a child that has ended: its number and its status.
fn reaped() -> Option<(libc::pid_t, i32)> {
    let mut status = 0;
    // SAFETY: the kernel writes the status.
    let child = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    (child > 0).then_some((child, status))
}

/// Kills all children that the kernel lists. No other process has their numbers, since nobody else waits for them.
fn kill_children() {
    let Ok(file) = openat(CWD, CHILDREN, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else { return };
    let mut number = 0_i32;
    let mut bytes = [0_u8; 4096];
    loop {
        // SAFETY: the kernel writes as many bytes as there are at most.
        let count = unsafe { libc::read(file.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) };
        let Some(read) = usize::try_from(count).ok().and_then(|count| bytes.get(..count)) else { return };
        if read.is_empty() {
            return;
        }
        for byte in read {
            if byte.is_ascii_digit() {
                number = number.wrapping_mul(10).wrapping_add(i32::from(byte - b'0'));
            } else if let Some(child) = Pid::from_raw(std::mem::take(&mut number)) {
                let _ = kill_process(child, Signal::KILL);
            }
        }
    }
}
