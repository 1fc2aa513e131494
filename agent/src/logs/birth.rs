//! Times of files on the clock that bins use, CLOCK_BOOTTIME.

use std::{
    fs::Metadata,
    time::{SystemTime, UNIX_EPOCH},
};

use firedrill_probe::clock::{boot_us, wall_us};

/// Uncertainty of a file's times, in microseconds: the kernel takes them from its coarse clock, which moves once a tick.
const UNSURE_US: u64 = 30_000;
/// Change of the wall clock, in microseconds, after which times of files cannot be used.
const STEP_US: u64 = 100_000;

/// The age of a file that now has the name of a log that is followed, such as after a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// All its content was written after that time (CLOCK_BOOTTIME, microseconds).
    Since(u64),
    /// Nothing is known: its content may have been written before reading began.
    Unknown,
    /// It was made before reading began.
    Old,
}

/// The moments that a time of a file may mean (CLOCK_BOOTTIME, microseconds).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moments {
    pub(super) earliest_us: u64,
    pub(super) latest_us: u64,
}

/// The relation of the wall clock to CLOCK_BOOTTIME when reading began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    began_us: u64,
    /// The wall clock minus CLOCK_BOOTTIME, in microseconds.
    apart_us: u64,
}

impl Times {
    pub(super) fn now() -> Self {
        let began_us = boot_us();
        Self { began_us, apart_us: wall_us().saturating_sub(began_us) }
    }

    /// Returns the time at which reading began (CLOCK_BOOTTIME, microseconds).
    pub(super) const fn began_us(&self) -> u64 {
        self.began_us
    }

    /// Moves the time at which reading began to a later time.
    #[cfg(test)]
    pub(super) fn shift(&mut self, us: u64) {
        self.began_us += us;
    }

    /// Returns the moments that a time of a file may mean; `None` if the wall clock was set by more than `STEP_US` since reading began.
    pub(super) fn moments(&self, time: SystemTime) -> Option<Moments> {
        let time_us = u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_micros()).ok()?;
        self.moments_at(time_us, wall_us(), boot_us())
    }

    /// Does the work of [`Self::moments`]; `wall_us` and `boot_us` are the clocks' present times. The wall clock may have been set by a
    /// smaller step before or after the file got its time: both are possible, and the result covers both.
    fn moments_at(&self, time_us: u64, wall_us: u64, boot_us: u64) -> Option<Moments> {
        let apart_us = wall_us.saturating_sub(boot_us);
        if apart_us.abs_diff(self.apart_us) > STEP_US {
            return None;
        }
        let (low, high) = (apart_us.min(self.apart_us), apart_us.max(self.apart_us));
        Some(Moments {
            earliest_us: time_us.saturating_sub(high).saturating_sub(UNSURE_US).min(boot_us),
            latest_us: time_us.saturating_sub(low).saturating_add(UNSURE_US),
        })
    }

    /// Returns the age of a file by its time of birth. On a file system that keeps none, an old time of modification shows that a file is
    /// old; otherwise nothing is known.
    pub(super) fn age(&self, born: Option<SystemTime>, about: &Metadata) -> Age {
        let is_old = |moments: &Moments| moments.latest_us < self.began_us;
        let changed = || about.modified().ok().and_then(|at| self.moments(at));
        match born.map(|born| self.moments(born)) {
            Some(Some(moments)) if is_old(&moments) => Age::Old,
            Some(Some(moments)) => Age::Since(moments.earliest_us),
            None if changed().is_some_and(|moments| is_old(&moments)) => Age::Old,
            Some(None) | None => Age::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_step_of_the_wall_clock_widens_the_range_of_moments() {
        const APART: u64 = 1_700_000_000_000_000;
        let times = Times { began_us: 5_000_000, apart_us: APART };
        let at = |step: i64| {
            let wall = APART.saturating_add_signed(step) + 9_000_000;
            times.moments_at(APART + 6_000_000, wall, 9_000_000)
        };
        let moments = |earliest_us, latest_us| Some(Moments { earliest_us, latest_us });
        assert_eq!(at(0), moments(5_970_000, 6_030_000));
        assert_eq!(at(80_000), moments(5_890_000, 6_030_000));
        assert_eq!(at(-80_000), moments(5_970_000, 6_110_000));
        assert_eq!((at(100_001), at(-100_001)), (None, None));
    }
}
