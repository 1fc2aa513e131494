//! Settings of the allocator. An agent is idle most of the time, and should use little memory then. Everything here is for
//! glibc; with other C libraries it does nothing.

/// Returns unused memory to the kernel: the freed blocks that the allocator keeps for this thread, and the unused parts of
/// the heap. For threads that live as long as the process, before a time in which they have nothing to do.
pub(crate) fn rest() {
    release_kept();
    trim();
}

/// Number of sizes of which the allocator keeps freed blocks for each thread.
#[cfg(target_env = "gnu")]
const KEPT_SIZES: usize = 64;
/// Maximum number of blocks that it keeps of each size.
#[cfg(target_env = "gnu")]
const KEPT_OF_EACH: usize = 7;

/// Returns to the heap the small blocks that this thread has freed. The allocator keeps hundreds of them for each thread until
/// the thread ends, and each of them keeps a whole page in use. The environment in the unit of systemd switches that off; this
/// is for agents that are started without it.
fn release_kept() {
    #[cfg(target_env = "gnu")]
    {
        if std::env::var("GLIBC_TUNABLES").is_ok_and(|tunables| keeps_none(&tunables)) {
            return;
        }
        // As many allocations of each size take all blocks that are kept for this thread.
        let mut kept: Vec<Vec<u8>> = Vec::with_capacity(KEPT_SIZES * KEPT_OF_EACH);
        for size in 0..KEPT_SIZES {
            // The allocator adds 8 bytes and rounds up to a multiple of 16, and a block has at least 32 bytes.
            kept.extend((0..KEPT_OF_EACH).map(|_| Vec::with_capacity(24 + 16 * size)));
        }
        // Another thread frees them. When it ends, its own kept blocks go back to the heap.
        let freed = std::thread::Builder::new().stack_size(64 << 10).spawn(move || drop(kept));
        let _ = freed.map(std::thread::JoinHandle::join);
    }
}

/// Whether the allocator keeps no freed blocks for threads, by the value of `GLIBC_TUNABLES`. The last of several values counts.
#[cfg(target_env = "gnu")]
fn keeps_none(tunables: &str) -> bool {
    let mut counts =
        tunables.split(':').filter_map(|tunable| tunable.strip_prefix("glibc.malloc.tcache_count="));
    counts.next_back() == Some("0")
}

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
const MAPPED_FROM: libc::c_int = 32 * 1024;

/// Makes all threads share one heap, because each heap keeps memory that its threads once used: after a few drills, a second
/// heap holds as much unused memory as the first. Threads wait for each other only while one of them allocates. Call it
/// before there is a second thread.
pub(crate) fn one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets numbers of the allocator, before there is a second thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        // A set value stays fixed. Otherwise it grows with the largest block that was ever freed, and then smaller blocks stay
        // in the heap.
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, MAPPED_FROM);
    }
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn only_a_count_of_zero_keeps_none() {
        let unit = "glibc.malloc.tcache_count=0:glibc.pthread.stack_cache_size=0";
        assert!(keeps_none(unit) && keeps_none("glibc.malloc.tcache_count=7:glibc.malloc.tcache_count=0"));
        for other in ["", "glibc.malloc.tcache_count=7", "glibc.malloc.tcache_count=01", "tcache_count=0"] {
            assert!(!keeps_none(other), "{other}");
        }
    }
}
