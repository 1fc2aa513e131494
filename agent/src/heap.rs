//! The allocator's habits: an agent waits most of its life and is to be small meanwhile.

/// Gives memory that nothing uses any more back to the kernel.
pub(crate) fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the allocator locks its own data.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Blocks from this size on, in bytes, are the kernel's again as soon as they are given back.
#[cfg(target_env = "gnu")]
const MAPPED_FROM: libc::c_int = 64 * 1024;

/// Few heaps, whatever the number of threads: each would keep what its threads once used.
pub(crate) fn few_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets numbers of the allocator, before there is a second thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        // Fixed: it would grow with the largest block that was ever given back, and what is smaller stays in the heap then.
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, MAPPED_FROM);
    }
}
