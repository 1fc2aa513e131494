//! Lets the lab's root process intercept `reboot(2)` in a host just before the call happens, so that it can pull the host's cable first. A
//! machine that loses its power cannot close its connections, so the host must not close them either.
//!
//! Never changes, answers or refuses the call: the kernel carries it out.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// A pending call of `reboot(2)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// The kernel's id of the call.
    id: u64,
    /// Whether the call ends the host: it is a restart, a halt or a power-off.
    pub(crate) ends_host: bool,
}

/// Offset of the system call's number in the data of a filter.
const SYSCALL_NUMBER_AT: u32 = 0;
/// The filter's result that lets a call go on (`SECCOMP_RET_ALLOW`).
const ALLOW: u32 = 0x7fff_0000;
/// First argument of every valid `reboot(2)`.
const REBOOT_MAGIC: u32 = 0xfee1_dead;

/// Installs a filter: from now on each `reboot(2)` of this process and its descendants waits for the holder of the returned descriptor.
///
/// # Errors
/// The kernel has no such filters, or an outer filter has a listener already. Without the filter, a reboot works, but peers may notice it.
pub(crate) fn watch_reboot() -> io::Result<OwnedFd> {
    let number = u32::try_from(libc::SYS_reboot).map_err(io::Error::other)?;
    // The architecture is not checked: a false match on another architecture only causes one more notification.
    // SAFETY: these helpers only fill in structures.
    let mut program = unsafe {
        [
            libc::BPF_STMT(code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS), SYSCALL_NUMBER_AT),
            libc::BPF_JUMP(code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K), number, 0, 1),
            libc::BPF_STMT(code(libc::BPF_RET | libc::BPF_K), libc::SECCOMP_RET_USER_NOTIF),
            libc::BPF_STMT(code(libc::BPF_RET | libc::BPF_K), ALLOW),
        ]
    };
    let program = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    // SAFETY: the program outlives the call, which copies it.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            std::ptr::from_ref(&program),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the descriptor is new, so no other code owns it; the kernel sets close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Converts the code of a filter instruction to its type in the structure.
fn code(bits: u32) -> u16 {
    u16::try_from(bits).unwrap_or_default()
}

/// Receives the next waiting call. Blocks if there is none: see [`waiting`].
pub(crate) fn receive(listener: BorrowedFd<'_>) -> io::Result<Call> {
    // SAFETY: all-zero bytes are valid for this structure, and the kernel requires them.
    let mut seen: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills a structure of this layout, which it has not enlarged since it was introduced.
    let done = unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, std::ptr::from_mut(&mut seen))
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    let [magic, _, command, ..] = seen.data.args;
    let ends = [
        libc::LINUX_REBOOT_CMD_RESTART,
        libc::LINUX_REBOOT_CMD_RESTART2,
        libc::LINUX_REBOOT_CMD_HALT,
        libc::LINUX_REBOOT_CMD_POWER_OFF,
    ];
    let ends_host = low32(magic) == REBOOT_MAGIC
        && ends.iter().any(|c| u32::from_ne_bytes(c.to_ne_bytes()) == low32(command));
    Ok(Call { id: seen.id, ends_host })
}

/// Returns the low 32 bits: the arguments of `reboot(2)` are 32 bits wide.
fn low32(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or_default()
}

/// Lets the call continue. Succeeds if the caller has ended meanwhile.
pub(crate) fn let_go_on(listener: BorrowedFd<'_>, call: Call) -> io::Result<()> {
    let flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap_or(1);
    let mut answer = libc::seccomp_notif_resp { id: call.id, val: 0, error: 0, flags };
    // SAFETY: the kernel reads a structure of this layout.
    let done = unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, std::ptr::from_mut(&mut answer))
    };
    let error = io::Error::last_os_error();
    if done == 0 || error.raw_os_error() == Some(libc::ENOENT) { Ok(()) } else { Err(error) }
}

/// The state of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// No call is waiting.
    Nothing,
    /// A call is waiting.
    Call,
    /// No process is left that could call.
    Over,
}

/// Returns the state of a listener, without blocking.
pub(crate) fn waiting(listener: &OwnedFd) -> io::Result<Waiting> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd as _;
    let mut polled = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    poll(&mut polled, PollTimeout::ZERO)?;
    let seen = polled[0].revents().unwrap_or(PollFlags::empty());
    Ok(if seen.contains(PollFlags::POLLIN) {
        Waiting::Call
    } else if seen.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
        Waiting::Over
    } else {
        Waiting::Nothing
    })
}
