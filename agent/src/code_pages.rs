//! Pages of program files in memory: gives up those that only the start of a process needed.
//!
//! Such pages are the relocations and the code that reads the command line and the configuration. Never touches a page
//! that may hold changed data.

use std::ffi::{c_int, c_void};

/// Unmaps the unchanged pages of the program and its libraries from this process. Each comes back when it is used next,
/// from the page cache or the file. Call it once the start is over, and before pages are locked into memory, because
/// locked pages stay.
pub(crate) fn release() {
    // SAFETY: `unmap` has the required type, and keeps nothing of what it is given.
    unsafe {
        libc::dl_iterate_phdr(Some(unmap), std::ptr::null_mut());
    }
}

/// Unmaps the segments of one object that nothing writes to.
unsafe extern "C" fn unmap(about: *mut libc::dl_phdr_info, _size: usize, _data: *mut c_void) -> c_int {
    // SAFETY: the loader passes a description that is valid during this call.
    let about = unsafe { &*about };
    if about.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the loader states the number of headers.
    let headers = unsafe { std::slice::from_raw_parts(about.dlpi_phdr, usize::from(about.dlpi_phnum)) };
    let page = page_size();
    for header in headers.iter().filter(|one| unchanged(one.p_type, one.p_flags)) {
        // Field sizes differ among architectures.
        let (Ok(base), Ok(at), Ok(size)) = (
            usize::try_from(about.dlpi_addr),
            usize::try_from(header.p_vaddr),
            usize::try_from(header.p_filesz),
        ) else {
            continue;
        };
        let (from, to) = whole_pages(base.wrapping_add(at), size, page);
        if from < to {
            // SAFETY: these pages are those of a file, and the process never changes them: what is read from them later is the same.
            unsafe {
                libc::madvise(std::ptr::with_exposed_provenance_mut(from), to - from, libc::MADV_DONTNEED);
            }
        }
    }
    0
}

/// Returns the size of a page, in bytes.
fn page_size() -> usize {
    // SAFETY: reads a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// Whether a segment is loaded from a file, and never written to.
const fn unchanged(kind: u32, flags: u32) -> bool {
    kind == libc::PT_LOAD && flags & libc::PF_W == 0
}

/// Returns the first and the last address of the pages that lie wholly within a range.
const fn whole_pages(at: usize, size: usize, page: usize) -> (usize, usize) {
    (at.next_multiple_of(page), (at + size) / page * page)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn only_whole_pages_of_a_range_are_given_up() {
        assert_eq!(whole_pages(0x1000, 0x2000, 0x1000), (0x1000, 0x3000));
        assert_eq!(whole_pages(0x1001, 0x2ffe, 0x1000), (0x2000, 0x3000));
        let (from, to) = whole_pages(0x1001, 0xffe, 0x1000);
        assert!(from >= to);
    }

    #[test]
    fn segments_that_are_written_to_are_left_alone() {
        assert!(unchanged(libc::PT_LOAD, libc::PF_R) && unchanged(libc::PT_LOAD, libc::PF_R | libc::PF_X));
        assert!(!unchanged(libc::PT_LOAD, libc::PF_R | libc::PF_W) && !unchanged(libc::PT_TLS, libc::PF_R));
    }

    /// Returns the number of pages of a range that this process has in memory.
    fn resident(range: &[u8]) -> usize {
        let page = page_size();
        let (from, to) = whole_pages(range.as_ptr().expose_provenance(), range.len(), page);
        let mut entries = vec![0; (to - from) / page * 8];
        let map = std::fs::File::open("/proc/self/pagemap").unwrap();
        map.read_exact_at(&mut entries, u64::try_from(from / page * 8).unwrap()).unwrap();
        // The highest bit of an entry of 64 bits: the page is in memory.
        let highest = if cfg!(target_endian = "little") { 7 } else { 0 };
        entries.chunks(8).filter(|entry| entry[highest] & 0x80 != 0).count()
    }

    #[test]
    fn unused_pages_are_gone_and_have_the_same_content_when_they_are_read_again() {
        static LARGE: [u8; 1 << 20] = [7; 1 << 20];
        let all = || std::hint::black_box(&LARGE).iter().map(|byte| u64::from(*byte)).sum::<u64>();
        assert_eq!(all(), 7 << 20);
        let before = resident(&LARGE);
        release();
        let after = resident(&LARGE);
        // Other threads may bring back pages at both ends, because the kernel maps the neighbours of a page too.
        assert!(before > 200 && after <= 32, "{before} pages before, {after} after");
        assert_eq!(all(), 7 << 20);
    }
}
