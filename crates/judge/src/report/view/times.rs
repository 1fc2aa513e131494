//! The times of an attack that stand on the axis: to detect, to mitigate, to recover.

use super::alerts::each;
use crate::score::{
    card::{AttackCard, Course, FigureCard},
    format,
};

/// A time that is known and is not zero, on the run's clock.
pub(super) struct Time {
    /// `detected`, `mitigated` or `recovered`.
    pub(super) what: &'static str,
    since: &'static str,
    pub(super) from_us: i64,
    pub(super) until_us: i64,
}

impl Time {
    /// Says it in words.
    pub(super) fn title(&self) -> String {
        let took = format::time(self.until_us.saturating_sub(self.from_us));
        format!("{} {took} after the {}, at {}", self.what, self.since, format::clock(self.until_us))
    }
}

/// Returns the slowest of all judged vantages that count; `None` if that of one of them is not known.
pub(super) fn slowest(attack: &AttackCard, get: fn(&FigureCard) -> Option<i64>) -> Option<i64> {
    let all = attack.figures.iter().filter(|figure| figure.counts && attack.judges(&figure.probe));
    all.map(get).collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// Returns an attack's time to detect: the longest of its alerts; `None` if one of them is not known.
pub(super) fn detected(attack: &AttackCard) -> Option<i64> {
    let times = each(attack).into_iter().map(|card| card.detected.and_then(|took| took.high_us));
    times.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// Returns the times of an attack, as far as they are known.
pub(super) fn of(attack: &AttackCard) -> Vec<Time> {
    if matches!(attack.course, Course::NotRun(_)) {
        return Vec::new();
    }
    let (start, healed) = (attack.fault_from_us, attack.healed_us);
    let all = [
        ("detected", "fault's start", start, detected(attack)),
        ("mitigated", "fault's start", start, slowest(attack, |one| one.mitigated_us)),
        ("recovered", "heal", healed, slowest(attack, |one| one.recovered_us)),
    ];
    let time = |(what, since, from, took): (_, _, Option<i64>, Option<i64>)| {
        let (from_us, took) = (from?, took.filter(|took| *took > 0)?);
        Some(Time { what, since, from_us, until_us: from_us.saturating_add(took) })
    };
    all.into_iter().filter_map(time).collect()
}
