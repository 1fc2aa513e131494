//! Settings of the allocator: an agent is idle most of the time, and should use little memory meanwhile.

/// Returns to the kernel what this thread keeps for itself and what all threads have left over. For threads that live as
/// long as the process, and rest now.
pub(crate) fn rest() {
    release_kept();
    trim();
}

/// Number of sizes of which the allocator keeps freed blocks for each thread, and how many of each.
#[cfg(target_env = "gnu")]
const KEPT: (usize, usize) = (64, 7);

/// Returns the small blocks that this thread has freed to the heap. The allocator keeps hundreds for each thread until that
/// ends, and each keeps a whole page in use. For agents that are started without the environment of the unit.
fn release_kept() {
    #[cfg(target_env = "gnu")]
    {
        if std::env::var("GLIBC_TUNABLES").is_ok_and(|tunables| keeps_none(&tunables)) {
            return;
        }
        let (sizes, of_each) = KEPT;
        let mut kept: Vec<Vec<u8>> = Vec::with_capacity(sizes * of_each);
        for size in 0..sizes {
            // The allocator rounds 8 bytes more up to a multiple of 16, and takes 32 at least.
            kept.extend((0..of_each).map(|_| Vec::with_capacity(24 + 16 * size)));
        }
        // Freed by a thread that ends, they are kept for no thread.
        let freed = std::thread::Builder::new().stack_size(64 << 10).spawn(move || drop(kept));
        let _ = freed.map(std::thread::JoinHandle::join);
    }
}

/// Whether the allocator keeps no freed blocks for threads, by the value of GLIBC_TUNABLES. The last of several values counts.
#[cfg(target_env = "gnu")]
fn keeps_none(tunables: &str) -> bool {
    let mut counts = tunables.split(':').filter_map(|one| one.strip_prefix("glibc.malloc.tcache_count="));
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

/// Makes all threads share one heap, because each heap keeps memory that its threads once used: after a few drills a
/// second one holds as much that is unused as the first. Threads wait for each other for the moment of an allocation only.
pub(crate) fn one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets numbers of the allocator, before there is a second thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        // Fixed: otherwise it grows with the largest block that was ever freed, and smaller blocks stay in the heap
        // then.
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
