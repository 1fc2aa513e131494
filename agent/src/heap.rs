//! Settings of the allocator: an agent is idle most of the time, and should use little memory meanwhile.

/// Returns unused memory to the kernel.
pub(crate) fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the allocator locks its own data.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Blocks of this size or more, in bytes, are returned to the kernel as soon as they are freed.
#[cfg(target_env = "gnu")]
const MAPPED_FROM: libc::c_int = 64 * 1024;

/// Limits the number of heaps, because each keeps memory that its threads once used.
pub(crate) fn few_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets numbers of the allocator, before there is a second thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        // Fixed: otherwise it grows with the largest block that was ever freed, and smaller blocks stay in the heap
        // then.
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, MAPPED_FROM);
    }
}
