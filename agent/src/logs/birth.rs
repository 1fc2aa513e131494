//! Times of files on the clock that bins use.

use std::{
    fs::Metadata,
    time::{SystemTime, UNIX_EPOCH},
};

use firedrill_probe::clock::{boot_us, wall_us};

/// Uncertainty of a file's times: they are by the kernel's coarse clock, and the wall clock may be slewed meanwhile.
pub(super) const UNSURE_US: u64 = 30_000;
/// Change of the wall clock after which times of files cannot be used.
const STEP_US: u64 = 100_000;

/// The age of a file that got a followed name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// All of its content was written after that time (CLOCK_BOOTTIME, microseconds).
    Since(u64),
    /// It may have been written at any time since reading began, or before.
    Unknown,
    /// It is older than the reading.
    Old,
}

/// The relation of the wall clock to CLOCK_BOOTTIME when reading began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    began_us: u64,
    apart_us: u64,
}

impl Times {
    pub(super) fn now() -> Self {
        let began_us = boot_us();
        Self { began_us, apart_us: wall_us().saturating_sub(began_us) }
    }

    /// Returns the time when reading began.
    pub(super) const fn began_us(&self) -> u64 {
        self.began_us
    }

    /// Lets reading have begun later.
    #[cfg(test)]
    pub(super) fn shift(&mut self, us: u64) {
        self.began_us += us;
    }

    /// Returns the earliest moment that a time of a file may mean; `None` if the wall clock was set since.
    pub(super) fn earliest(&self, time: SystemTime) -> Option<u64> {
        let now_us = boot_us();
        if wall_us().saturating_sub(now_us).abs_diff(self.apart_us) > STEP_US {
            return None;
        }
        let wall = time.duration_since(UNIX_EPOCH).ok()?.as_micros();
        let boot = u64::try_from(wall).ok()?.saturating_sub(self.apart_us);
        Some(boot.saturating_sub(UNSURE_US).min(now_us))
    }

    /// Returns the age of a file. Where the file system keeps no time of birth, only an old time of change tells that a file is old.
    pub(super) fn age(&self, born: Option<SystemTime>, about: &Metadata) -> Age {
        let old = |us: u64| us.saturating_add(2 * UNSURE_US) < self.began_us;
        match (born.map(|born| self.earliest(born)), about.modified().ok().and_then(|at| self.earliest(at))) {
            (Some(Some(us)), _) if old(us) => Age::Old,
            (Some(Some(us)), _) => Age::Since(us),
            (None, Some(us)) if old(us) => Age::Old,
            _ => Age::Unknown,
        }
    }
}
