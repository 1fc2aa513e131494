//! Starts a program in new namespaces with one `clone3`, which leaves nothing half made if it fails.

use std::{
    ffi::{CStr, CString},
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use super::ids::Outer;

/// The namespaces of every host.
pub(crate) const HOST_NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWCGROUP;

/// The program to start, with its settings.
pub(crate) struct Start<'a> {
    /// The program as an open descriptor (the new user may not be able to reach its path).
    pub(crate) program: &'a OwnedFd,
    /// Its arguments.
    pub(crate) argv: &'a [String],
    /// Descriptors that stay open in it, under the same numbers.
    pub(crate) keep: &'a [RawFd],
    /// `CLONE_NEW…` flags.
    pub(crate) namespaces: i32,
    /// The outer user that is root inside; needed with a new user namespace.
    pub(crate) root: Option<Outer>,
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
}

/// The error of a start, with the step that failed.
#[derive(Debug)]
pub(crate) struct StartError {
    pub(crate) step: &'static str,
    pub(crate) source: io::Error,
}

const STEPS: [&str; 4] =
    ["wait for its parent", "become root in the namespace", "keep a descriptor", "run the program"];

/// The size of the structure in the kernel (`CLONE_ARGS_SIZE_VER0`).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

/// Starts it. `before` runs in the parent when the namespaces exist and before the program runs.
pub(crate) fn start(
    what: &Start<'_>,
    before: impl FnOnce(&Child) -> io::Result<()>,
) -> Result<Child, StartError> {
    let failed = |step: &'static str| move |source: io::Error| StartError { step, source };
    // All memory that the child needs is allocated before: after the clone it makes only system calls, because
    // another thread may have held the allocator's lock.
    let words: Result<Vec<CString>, _> = what.argv.iter().map(|w| CString::new(w.as_str())).collect();
    let words = words.map_err(|e| failed("read the program's words")(e.into()))?;
    let environment = [c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];
    let argv: Vec<*const libc::c_char> = words.iter().map(|w| w.as_ptr()).chain([std::ptr::null()]).collect();
    let envp: Vec<*const libc::c_char> =
        environment.iter().map(|w: &&CStr| w.as_ptr()).chain([std::ptr::null()]).collect();
    let (gate_read, gate_write) = pipe().map_err(failed("make a pipe"))?;
    let (error_read, error_write) = pipe().map_err(failed("make a pipe"))?;

    let mut pidfd: RawFd = -1;
    let flags = what.namespaces | libc::CLONE_PIDFD;
    let mut args = CloneArgs {
        flags: u64::try_from(flags).unwrap_or_default(),
        pidfd: std::ptr::from_mut(&mut pidfd) as u64,
        exit_signal: u64::try_from(libc::SIGCHLD).unwrap_or_default(),
        ..CloneArgs::default()
    };
    // SAFETY: without CLONE_VM and with no stack this is a fork; `args` is of the size given and outlives the call.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone3, std::ptr::from_mut(&mut args), std::mem::size_of::<CloneArgs>())
    };
    if pid == 0 {
        let plan = InChild {
            program: what.program.as_raw_fd(),
            argv: &argv,
            envp: &envp,
            keep: what.keep,
            gate_read: gate_read.as_raw_fd(),
            gate_write: gate_write.as_raw_fd(),
            error: error_write.as_raw_fd(),
            become_root: what.root.is_some(),
        };
        // SAFETY: this is the child, alone in its copy of the memory; the plan's pointers stay valid.
        unsafe { plan.run() }
    }
    if pid < 0 {
        return Err(StartError { step: "make namespaces", source: io::Error::last_os_error() });
    }
    // SAFETY: the kernel stored a new descriptor there, because CLONE_PIDFD was asked for.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let child = Child { pid: i32::try_from(pid).unwrap_or(-1), pidfd };
    drop((gate_read, error_write));

    let opened = what.root.map_or(Ok(()), |root| write_maps(child.pid, root)).and_then(|()| {
        before(&child).map_err(failed("prepare it"))?;
        File::from(gate_write).write_all(b"!").map_err(failed("release it"))
    });
    // If the parent closes the gate without the go-ahead, the child ends by itself; its pipe then closes too.
    let mut said = Vec::new();
    let read = File::from(error_read).read_to_end(&mut said);
    let result = opened.and_then(|()| {
        read.map_err(failed("hear from it"))?;
        match said.split_first() {
            None => Ok(()),
            Some((step, errno)) => {
                let errno = errno.try_into().map(i32::from_ne_bytes).unwrap_or(libc::EIO);
                let step = STEPS.get(usize::from(*step)).copied().unwrap_or("start");
                Err(StartError { step, source: io::Error::from_raw_os_error(errno) })
            }
        }
    });
    match result {
        Ok(()) => Ok(child),
        Err(error) => {
            let _ = super::process::kill(&child.pidfd);
            let _ = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(child.pid), None);
            Err(error)
        }
    }
}

fn write_maps(pid: i32, root: Outer) -> Result<(), StartError> {
    let write = |file: &str, text: String| {
        fs::write(format!("/proc/{pid}/{file}"), text)
            .map_err(|source| StartError { step: "map users of the namespace", source })
    };
    if !root.may_drop_groups {
        write("setgroups", "deny".into())?;
    }
    write("gid_map", format!("0 {} 1", root.gid))?;
    write("uid_map", format!("0 {} 1", root.uid))
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

struct InChild<'a> {
    program: RawFd,
    argv: &'a [*const libc::c_char],
    envp: &'a [*const libc::c_char],
    keep: &'a [RawFd],
    gate_read: RawFd,
    gate_write: RawFd,
    error: RawFd,
    become_root: bool,
}

impl InChild<'_> {
    /// # Safety
    /// Only in a freshly cloned child: makes system calls only, and never returns.
    unsafe fn run(&self) -> ! {
        // SAFETY: plain system calls on descriptors and pointers of this process; no allocation, no locks.
        unsafe {
            libc::close(self.gate_write);
            let mut word = 0_u8;
            if libc::read(self.gate_read, std::ptr::from_mut(&mut word).cast(), 1) != 1 {
                libc::_exit(125);
            }
            if self.become_root {
                // Refused without privilege: the groups are those of the user who started the lab then.
                libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>());
                // The C library's own functions would first notify threads that do not exist in the child.
                if libc::syscall(libc::SYS_setresgid, 0, 0, 0) != 0
                    || libc::syscall(libc::SYS_setresuid, 0, 0, 0) != 0
                {
                    self.fail(1);
                }
            }
            for fd in self.keep {
                if libc::fcntl(*fd, libc::F_SETFD, 0) != 0 {
                    self.fail(2);
                }
            }
            libc::syscall(
                libc::SYS_execveat,
                self.program,
                c"".as_ptr(),
                self.argv.as_ptr(),
                self.envp.as_ptr(),
                libc::AT_EMPTY_PATH,
            );
            self.fail(3)
        }
    }

    /// # Safety
    /// As [`InChild::run`].
    unsafe fn fail(&self, step: u8) -> ! {
        // SAFETY: as above; `errno` is this process's own.
        unsafe {
            let errno = (*libc::__errno_location()).to_ne_bytes();
            let said = [step, errno[0], errno[1], errno[2], errno[3]];
            libc::write(self.error, said.as_ptr().cast(), said.len());
            libc::_exit(126)
        }
    }
}
