//! The run's clock: microseconds since the run began, counted through suspend.

use std::collections::BTreeMap;

use firedrill_probe::clock;
use firedrill_wire::RunId;

/// The run's clock. All times in the log are on it.
#[derive(Clone, Copy, Debug)]
pub struct RunClock {
    /// This machine's `CLOCK_BOOTTIME` at time 0, in microseconds.
    zero_boot_us: u64,
    /// The wall clock at time 0, in microseconds since 1970.
    zero_wall_us: u64,
}

impl RunClock {
    /// Creates a clock that is at 0 now.
    #[must_use]
    pub fn start() -> Self {
        Self { zero_boot_us: clock::boot_us(), zero_wall_us: clock::wall_us() }
    }

    /// Restores the clock of an earlier run. `wall` is its time 0 (RFC 3339 UTC), and `zeros` the `CLOCK_BOOTTIME` of this machine at that
    /// time, by boot id. If this machine has been rebooted since, the clock is restored by the wall clock, which is less exact.
    #[must_use]
    pub fn resume(wall: &str, zeros: Option<&BTreeMap<String, i64>>) -> Self {
        let began =
            humantime::parse_rfc3339(wall).ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let zero_wall_us = began.map_or(0, |at| u64::try_from(at.as_micros()).unwrap_or(0));
        let known =
            zeros.and_then(|zeros| zeros.get(&clock::boot_id())).and_then(|zero| u64::try_from(*zero).ok());
        let since = clock::wall_us().saturating_sub(zero_wall_us);
        Self { zero_boot_us: known.unwrap_or_else(|| clock::boot_us().saturating_sub(since)), zero_wall_us }
    }

    /// Returns the current time in microseconds.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.from_boot(clock::boot_us())
    }

    /// Converts a time of this machine's `CLOCK_BOOTTIME` to the run's clock.
    #[must_use]
    pub fn from_boot(&self, boot_us: u64) -> i64 {
        signed(boot_us) - signed(self.zero_boot_us)
    }

    /// Returns another machine's `CLOCK_BOOTTIME` at this clock's time 0, in microseconds. `ahead_us` is that machine's clock minus this
    /// machine's.
    #[must_use]
    pub fn zero_there(&self, ahead_us: i64) -> i64 {
        signed(self.zero_boot_us) + ahead_us
    }

    /// Returns the wall clock of time 0, in microseconds since 1970.
    pub(super) fn zero_wall_us(&self) -> i64 {
        signed(self.zero_wall_us)
    }

    /// Returns the wall clock of time 0, RFC 3339 UTC.
    #[must_use]
    pub fn wall(&self) -> String {
        self.wall_at(0)
    }

    /// Returns the wall clock of a time of this clock, RFC 3339 UTC.
    #[must_use]
    pub fn wall_at(&self, us: i64) -> String {
        let since = self.zero_wall_us.saturating_add_signed(us);
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_micros(since);
        humantime::format_rfc3339_seconds(time).to_string()
    }

    /// Returns a new run id: date, time, scenario, and a suffix that distinguishes runs of the same minute.
    #[must_use]
    pub fn run_id(&self, scenario: &str) -> RunId {
        let wall = self.wall();
        let digits: String = wall.chars().filter(char::is_ascii_digit).collect();
        let slug: String = scenario
            .to_ascii_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(16)
            .collect();
        let salt =
            (self.zero_wall_us ^ self.zero_boot_us.rotate_left(17) ^ u64::from(std::process::id())) & 0xffff;
        let text = format!("{}-{}-{}-{salt:04x}", &digits[..8], &digits[8..12], slug.trim_matches('-'));
        // The text has the alphabet and length of an id; the fallback avoids a panic.
        text.parse()
            .or_else(|_| format!("run-{salt:04x}").parse())
            .unwrap_or_else(|_| unreachable!("a valid id"))
    }
}

/// Converts to a signed number, for differences. Values of clocks are far below the limit, at which the result is cut.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_are_ids_whatever_the_scenario_is_called() {
        let clock = RunClock::start();
        for name in ["friday", "Öl & Gas: die ganze lange Nacht", "", "---"] {
            assert!(clock.run_id(name).as_str().len() <= 40, "{name}");
        }
    }
}
