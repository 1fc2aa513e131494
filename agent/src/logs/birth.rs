//! Times of files on the clock that bins use, CLOCK_BOOTTIME.

use std::{
    fs::Metadata,
    time::{SystemTime, UNIX_EPOCH},
};

use firedrill_probe::clock::{boot_us, wall_us};

/// Uncertainty of a file's times, in microseconds: the kernel takes them from its coarse clock.
pub(super) const UNSURE_US: u64 = 30_000;
/// Change of the wall clock, in microseconds, after which times of files cannot be used.
const STEP_US: u64 = 100_000;

/// The age of a file that now has the name of a log that is followed, such as after a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// All of its content was written after that time (CLOCK_BOOTTIME, microseconds).
    Since(u64),
    /// Nothing is known: its content may be older than the reading, too.
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

    /// Returns the earliest moment that a time of a file may mean; `None` if the wall clock was set by more than
    /// `STEP_US` since. A smaller step is not corrected for.
    pub(super) fn earliest(&self, time: SystemTime) -> Option<u64> {
        let now_us = boot_us();
        if wall_us().saturating_sub(now_us).abs_diff(self.apart_us) > STEP_US {
            return None;
        }
        let wall = time.duration_since(UNIX_EPOCH).ok()?.as_micros();
        let boot = u64::try_from(wall).ok()?.saturating_sub(self.apart_us);
        Some(boot.saturating_sub(UNSURE_US).min(now_us))
    }

    /// Returns the age of a file. Where the file system keeps no time of birth, an old time of modification tells that a file is old;
    /// otherwise nothing is known.
    pub(super) fn age(&self, born: Option<SystemTime>, about: &Metadata) -> Age {
        // `earliest` subtracted the uncertainty once: it is added again, and once more for the latest possible moment.
        let old = |us: u64| us.saturating_add(2 * UNSURE_US) < self.began_us;
        match (born.map(|born| self.earliest(born)), about.modified().ok().and_then(|at| self.earliest(at))) {
            (Some(Some(us)), _) if old(us) => Age::Old,
            (Some(Some(us)), _) => Age::Since(us),
            (None, Some(us)) if old(us) => Age::Old,
            _ => Age::Unknown,
        }
    }
}
