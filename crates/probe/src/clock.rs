//! The two clocks: one that counts through suspend, for everything that is calculated, and the wall's, for people.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the microseconds on a clock that never jumps and that counts while the machine sleeps (CLOCK_BOOTTIME).
#[must_use]
pub fn boot_us() -> u64 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_BOOTTIME;
    // Elsewhere the monotonic clock is the nearest that there is; on macOS it counts through sleep too.
    #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;

    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the kernel to write to, and the clock always exists.
    unsafe { libc::clock_gettime(CLOCK, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000
}

/// Returns the id of the boot that [`boot_us`] counts from. It changes with every boot.
#[must_use]
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map_or_else(
        |_| format!("started-{}", wall_us().saturating_sub(boot_us()) / 10_000_000),
        |text| text.trim().to_owned(),
    )
}

/// Returns the time of the wall clock: microseconds since 1970 UTC. The clock jumps when somebody sets it, so never calculate with it.
#[must_use]
pub fn wall_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_clock_never_goes_back() {
        let first = super::boot_us();
        assert!(super::boot_us() >= first);
        assert!(!super::boot_id().is_empty());
    }
}
