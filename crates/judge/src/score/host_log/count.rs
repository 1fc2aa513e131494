//! Counts matching lines in stretches of time: at least, at most, and why the count is not exact. Never decides.

use crate::{
    log::HostLog,
    score::{format, part::Stretch},
};

/// Maximum time between two records of a log that is no gap, in microseconds: times are rounded, and clocks are measured again.
const ROUNDING_US: i64 = 20_000;

/// Matching lines in some stretches of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Count {
    /// Minimum number of lines.
    pub(super) least: u64,
    /// Maximum number of lines; `None` if lines may have been missed.
    pub(super) most: Option<u64>,
    /// The reason why lines may have been missed.
    pub(super) why: Option<String>,
    /// Number of lines that were not searched completely.
    pub(super) cut: u64,
    /// Minimum length of the stretches.
    pub(super) sure_us: i64,
    /// Maximum length of the stretches.
    pub(super) perhaps_us: i64,
    /// Time that was read, of `perhaps_us`.
    pub(super) read_us: i64,
}

impl Count {
    /// Returns the lowest and the highest number of lines a second; the highest is `None` if lines may have been missed.
    pub(super) fn rates(&self) -> (f64, Option<f64>) {
        let a_second = |count: u64, us: i64| if us > 0 { count as f64 * 1e6 / us as f64 } else { 0.0 };
        let high = self.most.filter(|_| self.sure_us > 0).map(|most| a_second(most, self.sure_us));
        (a_second(self.least, self.perhaps_us), high)
    }
}

/// Counts the matching lines of some records, which are in the order of time, in some stretches.
pub(super) fn count(read: &[&HostLog], stretches: &[Stretch]) -> Count {
    let mut found = Count::default();
    let (mut most, mut why) = (0_u64, None::<String>);
    for one in read {
        let touches = |from: i64, until: i64| {
            stretches.iter().any(|stretch| from < stretch.perhaps().end && until > stretch.perhaps().start)
        };
        if touches(one.from_us, one.until_us) {
            found.cut += one.cut;
            if let Some(missed) = &one.missed {
                why.get_or_insert_with(|| format!("at {}: {missed}", format::clock(one.from_us)));
            } else if one.cut > 0 {
                why.get_or_insert_with(|| {
                    format!(
                        "at {}: {} lines were too long to be searched completely",
                        format::clock(one.from_us),
                        one.cut
                    )
                });
            }
        }
        if one.matched == 0 {
            continue;
        }
        let (first, last) = (one.first_us.unwrap_or(one.from_us), one.last_us.unwrap_or(one.until_us));
        if stretches.iter().any(|stretch| stretch.sure().start <= first && last <= stretch.sure().end) {
            found.least += one.matched;
            most += one.matched;
        } else if touches(first, last.max(first + 1)) {
            most += one.matched;
        }
    }
    for stretch in stretches {
        let (sure, perhaps) = (stretch.sure(), stretch.perhaps());
        found.sure_us += (sure.end - sure.start).max(0);
        found.perhaps_us += (perhaps.end - perhaps.start).max(0);
        // A line near an edge that was not read may be in the phase, so gaps count wherever the phase may be.
        let mut known = perhaps.start;
        let mut absent = None;
        let mut read_us = 0;
        for one in read.iter().filter(|one| one.until_us > perhaps.start && one.from_us < perhaps.end) {
            if let Some(text) = &one.absent {
                absent = Some(text.as_str());
                continue;
            }
            if one.from_us > known + ROUNDING_US {
                why.get_or_insert_with(|| gap(known, one.from_us, absent));
            }
            read_us += (one.until_us.min(perhaps.end) - one.from_us.max(known)).max(0);
            known = known.max(one.until_us);
            absent = None;
        }
        if known + ROUNDING_US < perhaps.end || (read_us == 0 && perhaps.end > perhaps.start) {
            why.get_or_insert_with(|| gap(known, perhaps.end, absent));
        }
        found.read_us += read_us;
    }
    found.most = why.is_none().then_some(most);
    found.why = why;
    found
}

/// Describes a gap; `absent` is the reason why the log could not be read in it.
fn gap(from_us: i64, until_us: i64, absent: Option<&str>) -> String {
    let why = absent.unwrap_or("nobody read the log");
    format!("from {} to {} {why}", format::clock(from_us), format::clock(until_us))
}
