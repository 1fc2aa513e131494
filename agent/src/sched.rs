//! Asks the scheduler to run a thread with little delay, by a short time slice.
//!
//! Linux 6.12 and later runs threads with short slices earlier, and gives them no larger share of the processor. Older
//! kernels ignore the request. It needs no privilege, and never changes a priority.

/// The shortest slice that the kernel accepts, in nanoseconds.
const SHORT_NS: u64 = 100_000;

/// `struct sched_attr` of `sched_setattr(2)`, in its first version.
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

/// Gives the calling thread the shortest time slice, or the kernel's default one. Errors are ignored: they only make timing less
/// exact.
pub(crate) fn set_short_slice(short: bool) {
    let size = size_of::<SchedAttr>();
    // SAFETY: only reads a number of this thread.
    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let attr = SchedAttr {
        size: u32::try_from(size).unwrap_or(0),
        // Not used: the flag keeps the present policy.
        policy: 0,
        flags: u64::from(libc::SCHED_FLAG_KEEP_POLICY.unsigned_abs()),
        nice,
        priority: 0,
        // The slice of a thread that is not real-time; 0 is the kernel's default.
        runtime: if short { SHORT_NS } else { 0 },
        deadline: 0,
        period: 0,
    };
    // SAFETY: the kernel reads `size` bytes of a structure that lives until the call returns.
    let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
}
