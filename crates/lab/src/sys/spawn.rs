//! Starts a program in new namespaces with a single `clone3`. A failure never leaves a process or a namespace behind.

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

/// A program to start, with its settings.
pub(crate) struct Start<'a> {
    /// The program as an open descriptor, because the new user may not be able to reach its path.
    pub(crate) program: &'a OwnedFd,
    /// The program's arguments, with its name first.
    pub(crate) argv: &'a [String],
    /// Descriptors that stay open in the program, under the same numbers.
    pub(crate) keep: &'a [RawFd],
    /// `CLONE_NEW…` flags of the namespaces to make.
    pub(crate) namespaces: i32,
    /// The outer user that is root inside. Required if a user namespace is made, `None` otherwise.
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

/// The steps of the child that can fail, by their numbers.
const STEPS: [&str; 4] =
    ["wait for its parent", "become root in the namespace", "keep a descriptor", "run the program"];

/// The kernel's structure `clone_args`, in its first version (`CLONE_ARGS_SIZE_VER0`).
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

/// Starts a program. `before` runs in the parent after the namespaces were made and before the program runs. Returns when the program runs.
pub(crate) fn start(
    settings: &Start<'_>,
    before: impl FnOnce(&Child) -> io::Result<()>,
) -> Result<Child, StartError> {
    let failed = |step: &'static str| move |source: io::Error| StartError { step, source };
    // All memory that the child needs is allocated before the clone. After the clone, the child makes only system calls: another thread may
    // have held the allocator's lock at the moment of the clone.
    let words: Result<Vec<CString>, _> = settings.argv.iter().map(|w| CString::new(w.as_str())).collect();
    let words = words.map_err(|e| failed("read the program's words")(e.into()))?;
    let environment = [c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];
    let argv: Vec<*const libc::c_char> = words.iter().map(|w| w.as_ptr()).chain([std::ptr::null()]).collect();
    let envp: Vec<*const libc::c_char> =
        environment.iter().map(|w: &&CStr| w.as_ptr()).chain([std::ptr::null()]).collect();
    let (gate_read, gate_write) = pipe().map_err(failed("make a pipe"))?;
    let (error_read, error_write) = pipe().map_err(failed("make a pipe"))?;

    let mut pidfd: RawFd = -1;
    let flags = settings.namespaces | libc::CLONE_PIDFD;
    let mut args = CloneArgs {
        flags: u64::try_from(flags).unwrap_or_default(),
        pidfd: std::ptr::from_mut(&mut pidfd) as u64,
        exit_signal: u64::try_from(libc::SIGCHLD).unwrap_or_default(),
        ..CloneArgs::default()
    };
    // SAFETY: without CLONE_VM and without a stack, this is a fork; `args` has the given size and outlives the call.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone3, std::ptr::from_mut(&mut args), std::mem::size_of::<CloneArgs>())
    };
    if pid == 0 {
        let plan = InChild {
            program: settings.program.as_raw_fd(),
            argv: &argv,
            envp: &envp,
            keep: settings.keep,
            gate_read: gate_read.as_raw_fd(),
            gate_write: gate_write.as_raw_fd(),
            error: error_write.as_raw_fd(),
            become_root: settings.root.is_some(),
        };
        // SAFETY: this is the child, alone in its copy of the memory; the plan's pointers stay valid.
        unsafe { plan.run() }
    }
    if pid < 0 {
        return Err(StartError { step: "make namespaces", source: io::Error::last_os_error() });
    }
    // SAFETY: the kernel has stored a new descriptor in `pidfd`, because CLONE_PIDFD is set.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let child = Child { pid: i32::try_from(pid).unwrap_or(-1), pidfd };
    drop((gate_read, error_write));

    let opened = settings.root.map_or(Ok(()), |root| write_maps(child.pid, root)).and_then(|()| {
        before(&child).map_err(failed("prepare it"))?;
        File::from(gate_write).write_all(b"!").map_err(failed("release it"))
    });
    // The pipe `error` closes when the child runs the program or ends. If the gate was closed without the go-ahead, the child ends itself.
    let mut failure = Vec::new();
    let read = File::from(error_read).read_to_end(&mut failure);
    let result = opened.and_then(|()| {
        read.map_err(failed("hear from it"))?;
        match failure.split_first() {
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

/// Maps the user and group 0 of the child's namespace to the outer user and group.
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

/// The data that the child needs between the clone and the start of the program.
struct InChild<'a> {
    program: RawFd,
    argv: &'a [*const libc::c_char],
    envp: &'a [*const libc::c_char],
    keep: &'a [RawFd],
    /// The pipe from which the child reads one byte before it goes on.
    gate_read: RawFd,
    gate_write: RawFd,
    /// The pipe to which the child writes the failed step and its errno.
    error: RawFd,
    become_root: bool,
}

impl InChild<'_> {
    /// Waits for the parent, and runs the program in place of the child.
    ///
    /// # Safety
    /// May be called only in a child directly after the clone. Makes only system calls, and never returns.
    unsafe fn run(&self) -> ! {
        // SAFETY: plain system calls on descriptors and pointers of this process; no allocation, no locks.
        unsafe {
            libc::close(self.gate_write);
            let mut word = 0_u8;
            if libc::read(self.gate_read, std::ptr::from_mut(&mut word).cast(), 1) != 1 {
                libc::_exit(125);
            }
            if self.become_root {
                // Without privileges the kernel refuses this, and the groups of the user who started the lab stay.
                libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>());
                // The functions of the C library are not used: they would first notify threads, which do not exist in the child.
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

    /// Reports the failed step and its errno to the parent, and ends the child.
    ///
    /// # Safety
    /// As [`InChild::run`].
    unsafe fn fail(&self, step: u8) -> ! {
        // SAFETY: only system calls, and `errno` of this thread.
        unsafe {
            let errno = (*libc::__errno_location()).to_ne_bytes();
            let report = [step, errno[0], errno[1], errno[2], errno[3]];
            libc::write(self.error, report.as_ptr().cast(), report.len());
            libc::_exit(126)
        }
    }
}
