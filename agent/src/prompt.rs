//! Asks the scheduler for a quick turn: a thread that runs for a moment only, but must run at its moment.
//!
//! Linux from 6.12 on gives threads with short slices an earlier turn, without giving them more of the processor; older
//! kernels ignore it. Needs no privilege, unlike priorities.

/// The shortest slice that the kernel takes, in nanoseconds.
const SHORT_NS: u64 = 100_000;

/// `struct sched_attr` of `sched_setattr(2)`, as first published.
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// For this thread, from now on: quick turns, or usual ones.
pub(crate) fn ask(prompt: bool) {
    let size = size_of::<SchedAttr>();
    // SAFETY: only reads a number of this thread.
    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let attr = SchedAttr {
        size: u32::try_from(size).unwrap_or(0),
        policy: 0,
        flags: u64::from(libc::SCHED_FLAG_KEEP_POLICY.unsigned_abs()),
        nice,
        priority: 0,
        // For usual threads: the slice; 0 is the kernel's own.
        runtime: if prompt { SHORT_NS } else { 0 },
        deadline: 0,
        period: 0,
    };
    // SAFETY: the kernel reads `size` bytes of a structure that lives until the call returns.
    let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
}
