//! The clocks of a host. Each boot has a clock that starts anew, so a measurement of a boot is placed in time by the clock of that boot only.

use std::collections::BTreeMap;

use firedrill_wire::{logs::LogBin, probe::Bin};

use super::clock::signed;

/// Maximum number of bins that wait for a clock measurement: ten minutes of six probes.
const EARLY_MOST: usize = 3600;

/// The boots of a host that are known.
pub(super) struct Boots {
    /// The id of the newest boot; empty if none is known.
    newest: String,
    /// `CLOCK_BOOTTIME` of each boot at the run's time 0, in microseconds, by boot id.
    zeros: BTreeMap<String, i64>,
    early: Early,
    /// Number of early bins that were given up: their boot was over before its clock was measured, or there were more than [`EARLY_MOST`].
    lost: usize,
}

/// Bins from a boot whose clock was not measured yet.
#[derive(Default)]
pub(super) struct Early {
    /// The measurements of probes.
    pub(super) measured: Vec<Bin>,
    /// The findings in logs.
    pub(super) found: Vec<LogBin>,
}

impl Early {
    const fn len(&self) -> usize {
        self.measured.len() + self.found.len()
    }
}

impl Boots {
    /// The boots of a host that is in the boot `newest` (empty if that is unknown). The clock of the boot was not measured yet.
    pub(super) const fn in_boot(newest: String) -> Self {
        let early = Early { measured: Vec::new(), found: Vec::new() };
        Self { newest, zeros: BTreeMap::new(), early, lost: 0 }
    }

    /// Returns the id of the newest boot; empty if none is known.
    pub(super) fn newest(&self) -> &str {
        &self.newest
    }

    /// Converts a time of a boot to the run's clock; `None` if the clock of that boot was not measured.
    pub(super) fn at_us(&self, boot_id: &str, boot_us: u64) -> Option<i64> {
        Some(signed(boot_us) - self.zeros.get(boot_id)?)
    }

    /// Converts a time of the run's clock to the clock of the newest boot; `None` if that was not measured.
    pub(super) fn boot_us(&self, at_us: i64) -> Option<u64> {
        Some(u64::try_from(at_us + self.zeros.get(&self.newest)?).unwrap_or(0))
    }

    /// Keeps a bin until the clock of its boot is measured.
    pub(super) fn keep(&mut self, bin: Bin) {
        if self.has_room() {
            self.early.measured.push(bin);
        }
    }

    /// Keeps what was found in a log until the clock of its boot is measured.
    pub(super) fn keep_found(&mut self, bin: LogBin) {
        if self.has_room() {
            self.early.found.push(bin);
        }
    }

    /// Whether one more bin can wait. If not, it counts as lost.
    const fn has_room(&mut self) -> bool {
        let has_room = self.early.len() < EARLY_MOST;
        if !has_room {
            self.lost += 1;
        }
        has_room
    }

    /// Notes that the clock of a boot was measured; this boot is the newest from now on. Returns whether the boot changed, and the bins
    /// that waited for its clock. Bins of other boots are given up, because those boots are over: a gap is reported, a guess would be wrong.
    pub(super) fn measured(&mut self, boot_id: &str, zero_us: i64) -> (bool, Early) {
        let another = self.newest != boot_id;
        boot_id.clone_into(&mut self.newest);
        self.zeros.insert(boot_id.to_owned(), zero_us);
        let mut early = std::mem::take(&mut self.early);
        let before = early.len();
        early.measured.retain(|bin| bin.boot_id == boot_id);
        early.found.retain(|bin| bin.boot_id == boot_id);
        self.lost += before - early.len();
        (another, early)
    }

    /// Adds the clocks that an earlier coordinator of the run measured.
    pub(super) fn were_measured(&mut self, zeros: BTreeMap<String, i64>) {
        for (boot, zero) in zeros {
            self.zeros.entry(boot).or_insert(zero);
        }
    }

    /// Gives up the bins that still wait for a clock. Returns the number of all bins that were given up.
    pub(super) fn drop_early(&mut self) -> usize {
        std::mem::take(&mut self.lost) + std::mem::take(&mut self.early).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firedrill_judge::testing::{S, bin};

    #[test]
    fn times_are_placed_by_the_clock_of_their_own_boot() {
        let mut boots = Boots::in_boot("first".to_owned());
        assert_eq!(boots.at_us("first", 150_000_000), None, "not measured yet");
        assert!(!boots.measured("first", 100 * S).0);
        assert_eq!(boots.at_us("first", 150_000_000), Some(50 * S));
        assert!(boots.measured("second", -60 * S).0, "it was rebooted");
        assert_eq!(boots.at_us("second", 1_000_000), Some(61 * S));
        assert_eq!(boots.at_us("first", 150_000_000), Some(50 * S), "of the boot before");
        assert_eq!(boots.boot_us(61 * S), Some(1_000_000));
    }

    #[test]
    fn bins_wait_for_the_clock_of_their_boot_and_are_never_guessed() {
        let mut boots = Boots::in_boot("first".to_owned());
        boots.keep(bin_of("second"));
        boots.keep(bin_of("lost"));
        let (_, placed) = boots.measured("second", 0);
        assert_eq!(placed.len(), 1);
        assert_eq!(boots.drop_early(), 1, "that of the boot whose clock nobody measured");
        boots.keep(bin_of("third"));
        assert_eq!(boots.drop_early(), 1);
    }

    #[test]
    fn bins_of_logs_wait_too_and_those_without_room_are_counted() {
        let mut boots = Boots::in_boot("first".to_owned());
        boots.keep_found(LogBin { boot_id: "second".to_owned(), ..LogBin::default() });
        let (_, placed) = boots.measured("second", 0);
        assert_eq!((placed.measured.len(), placed.found.len()), (0, 1));
        for _ in 0..EARLY_MOST + 2 {
            boots.keep(bin_of("third"));
        }
        let (_, placed) = boots.measured("third", 0);
        assert_eq!(placed.len(), EARLY_MOST);
        assert_eq!(boots.drop_early(), 2);
    }

    fn bin_of(boot: &str) -> Bin {
        Bin { boot_id: boot.to_owned(), ..bin("buy", 1, 1, 0) }
    }
}
