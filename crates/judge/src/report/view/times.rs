//! The times of an attack that are marked on the time axis: to detect, to mitigate, to recover.

use crate::score::{card::AttackCard, format};

/// A time span that is known and not zero.
pub(super) struct Time {
    /// `detected`, `mitigated` or `recovered`.
    what: &'static str,
    /// The event at its beginning: `fault's start` or `heal`.
    since: &'static str,
    /// The beginning, in microseconds on the run's clock.
    pub(super) from_us: i64,
    /// The end, likewise.
    pub(super) until_us: i64,
}

impl Time {
    /// Returns the label: `detected after 12 s`.
    pub(super) fn label(&self) -> String {
        format!("{} after {}", self.what, self.took())
    }

    /// Returns the tooltip: `detected 12 s after the fault's start, at 01:12.0`.
    pub(super) fn title(&self) -> String {
        let at = format::clock(self.until_us);
        format!("{} {} after the {}, at {at}", self.what, self.took(), self.since)
    }

    /// Formats its length.
    fn took(&self) -> String {
        format::time(self.until_us.saturating_sub(self.from_us))
    }
}

/// Returns the times of an attack that are known and not zero.
pub(super) fn of(attack: &AttackCard) -> Vec<Time> {
    if attack.course.not_begun().is_some() {
        return Vec::new();
    }
    let (start, healed) = (attack.fault_from_us, attack.healed_us);
    let all = [
        ("detected", "fault's start", start, attack.detected_us()),
        ("mitigated", "fault's start", start, attack.longest(|one| one.mitigated_us)),
        ("recovered", "heal", healed, attack.longest(|one| one.recovered_us)),
    ];
    let time = |(what, since, from, took): (_, _, Option<i64>, Option<i64>)| {
        let (from_us, took) = (from?, took.filter(|took| *took > 0)?);
        Some(Time { what, since, from_us, until_us: from_us.saturating_add(took) })
    };
    all.into_iter().filter_map(time).collect()
}
