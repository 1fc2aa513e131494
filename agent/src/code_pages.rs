//! Saves memory: releases the pages of the program and its libraries that only the start of a process needed.
//!
//! Such pages hold relocations, and code that reads the command line and the configuration. A mapping stays as it is, and a released page
//! is read from its file again when it is used. Never releases a page that may hold changed data.

use std::{
    ffi::{c_int, c_void},
    fs::File,
    os::unix::fs::FileExt as _,
};

/// Bits of an entry in `/proc/self/pagemap` that are both set for an unchanged page of a file: it is in memory (bit 63) and belongs to a
/// file (bit 61). When a process changes such a page, the kernel gives it a private copy, which lacks bit 61. Source: the kernel's
/// `Documentation/admin-guide/mm/pagemap.rst`.
const UNCHANGED: u64 = 1 << 63 | 1 << 61;

/// Releases the unchanged pages of the program and its libraries. Each comes back from the page cache or the file when it is used next.
/// Call it after the start, and before pages are locked into memory, because locked pages cannot be released. Does nothing if the kernel
/// does not tell which pages are unchanged.
pub(crate) fn release() {
    let Ok(map) = File::open("/proc/self/pagemap") else { return };
    // SAFETY: `release_object` has the required type, reads the file during this call, and keeps nothing of what it is given.
    unsafe {
        libc::dl_iterate_phdr(Some(release_object), std::ptr::from_ref(&map).cast_mut().cast());
    }
}

/// Releases the unchanged pages in the read-only segments of one loaded object: the program or a library. Returns 0, so that the loader
/// goes on with the next object.
unsafe extern "C" fn release_object(
    object: *mut libc::dl_phdr_info,
    _size: usize,
    data: *mut c_void,
) -> c_int {
    // SAFETY: the loader passes a description that is valid during this call.
    let object = unsafe { &*object };
    // SAFETY: `release` passes a file that is open during the call.
    let map = unsafe { &*data.cast::<File>() };
    if object.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the loader states the number of headers.
    let headers = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)) };
    let page = page_size();
    for header in headers.iter().filter(|header| is_read_only(header.p_type, header.p_flags)) {
        // The fields have 32 or 64 bits, by architecture.
        let (Ok(base), Ok(at), Ok(size)) = (
            usize::try_from(object.dlpi_addr),
            usize::try_from(header.p_vaddr),
            usize::try_from(header.p_filesz),
        ) else {
            continue;
        };
        release_unchanged(map, whole_pages(base.wrapping_add(at), size, page), page);
    }
    0
}

/// Releases the unchanged pages of a range, from a first address to a last one that does not belong to it. All other pages were changed: by
/// the loader, by a debugger, or by a library that moves code into large pages. Ends at the first part of `pagemap` that cannot be read.
fn release_unchanged(map: &File, (from, to): (usize, usize), page: usize) {
    let mut entries = [0; 8 * 512];
    let mut at = from;
    while at < to {
        let bytes = 8 * ((to - at) / page).min(512);
        let (Some(chunk), Ok(offset)) = (entries.get_mut(..bytes), u64::try_from(at / page * 8)) else {
            return;
        };
        if map.read_exact_at(chunk, offset).is_err() {
            return;
        }
        for entry in chunk.as_chunks::<8>().0 {
            if u64::from_ne_bytes(*entry) & UNCHANGED == UNCHANGED {
                // SAFETY: the page is unchanged, so it has the same content when it is read from the file again.
                unsafe {
                    libc::madvise(std::ptr::with_exposed_provenance_mut(at), page, libc::MADV_DONTNEED);
                }
            }
            at += page;
        }
    }
}

/// Returns the size of a page, in bytes.
fn page_size() -> usize {
    // SAFETY: the call takes no pointer, and changes nothing.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// Whether a segment is loaded from the file and is mapped without write permission.
const fn is_read_only(kind: u32, flags: u32) -> bool {
    kind == libc::PT_LOAD && flags & libc::PF_W == 0
}

/// Returns the range of addresses of the pages that lie completely within a range: its start, and its end, which does not belong to it. The
/// end is not after the start if there is no such page.
const fn whole_pages(at: usize, size: usize, page: usize) -> (usize, usize) {
    (at.next_multiple_of(page), (at + size) / page * page)
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, os::fd::AsFd as _};

    use nix::sys::mman::{MapFlags, ProtFlags, mmap, mprotect, munmap};

    use super::*;

    #[test]
    fn only_whole_pages_of_a_range_are_released() {
        assert_eq!(whole_pages(0x1000, 0x2000, 0x1000), (0x1000, 0x3000));
        assert_eq!(whole_pages(0x1001, 0x2ffe, 0x1000), (0x2000, 0x3000));
        let (from, to) = whole_pages(0x1001, 0xffe, 0x1000);
        assert!(from >= to);
    }

    #[test]
    fn segments_that_are_written_to_are_left_alone() {
        assert!(
            is_read_only(libc::PT_LOAD, libc::PF_R) && is_read_only(libc::PT_LOAD, libc::PF_R | libc::PF_X)
        );
        assert!(
            !is_read_only(libc::PT_LOAD, libc::PF_R | libc::PF_W) && !is_read_only(libc::PT_TLS, libc::PF_R)
        );
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
        let sum = || std::hint::black_box(&LARGE).iter().map(|byte| u64::from(*byte)).sum::<u64>();
        assert_eq!(sum(), 7 << 20);
        let before = resident(&LARGE);
        release();
        let after = resident(&LARGE);
        let all_pages = LARGE.len() / page_size();
        // Other threads may bring back pages at both ends, because the kernel maps the neighbours of a page too.
        assert!(before > all_pages * 3 / 4 && after <= all_pages / 8, "{before} pages before, {after} after");
        assert_eq!(sum(), 7 << 20);
    }

    #[test]
    fn a_page_that_was_changed_before_it_became_read_only_keeps_its_content() {
        let page = page_size();
        let file = tempfile::tempfile().unwrap();
        file.set_len(2 * page as u64).unwrap();
        let size = NonZeroUsize::new(2 * page).unwrap();
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, of which only this test knows.
        let at = unsafe { mmap(None, size, access, MapFlags::MAP_PRIVATE, file.as_fd(), 0) }.unwrap();
        let pages = at.cast::<u8>().as_ptr();
        // SAFETY: both bytes lie in the mapping, which is writable here.
        let second = unsafe {
            pages.write_volatile(7);
            pages.add(page).read_volatile()
        };
        assert_eq!(second, 0);
        // SAFETY: the mapping is the test's own.
        unsafe { mprotect(at, 2 * page, ProtFlags::PROT_READ) }.unwrap();
        let from = pages.expose_provenance();
        let map = File::open("/proc/self/pagemap").unwrap();
        release_unchanged(&map, (from, from + 2 * page), page);
        // SAFETY: the pages stay mapped until below.
        let bytes = unsafe { std::slice::from_raw_parts(pages, 2 * page) };
        assert_eq!((resident(&bytes[..page]), resident(&bytes[page..])), (1, 0));
        assert_eq!(bytes[0], 7);
        // SAFETY: nothing uses the mapping any more.
        unsafe { munmap(at, 2 * page) }.unwrap();
    }
}
