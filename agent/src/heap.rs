//! The allocator's habits: an agent waits most of its life and is to be small meanwhile.

/// Gives memory that nothing uses any more back to the kernel.
pub(crate) fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the allocator locks its own data.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Few heaps, whatever the number of threads: each would keep what its threads once used.
pub(crate) fn few_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number of the allocator, before there is a second thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}
