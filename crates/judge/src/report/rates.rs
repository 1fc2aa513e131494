//! The rates of matching lines of a log on one host, in steps of time. A step has the lowest and the highest rate of the records in
//! it, so that a coarse chart hides no peak. A step without a record has no rate.

use std::hash::{Hash, Hasher};

use super::steps::Steps;
use crate::log::HostLog;

/// Maximum time between two records of a log that is no gap, in microseconds: times are rounded, and the difference between clocks is
/// measured repeatedly.
const ROUNDING_US: i64 = 20_000;
/// Maximum time at both ends of a run that is no gap, in microseconds: the first and the last record do not begin and end exactly with it.
const ENDS_US: i64 = 1_200_000;

/// The lowest and the highest rate in a step, in matching lines a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

// A rate is never NaN and never −0.
impl Eq for Rate {}

impl Hash for Rate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.low.to_bits(), self.high.to_bits()).hash(state);
    }
}

/// A stretch of time, on the run's clock, of which something is not known, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Doubt {
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
    pub(crate) why: String,
}

/// The rates of one log on one host, or on several hosts with the same rates.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rates {
    pub(crate) steps: Steps,
    /// See [`Steps::shift_us`].
    pub(crate) shift_us: i64,
    /// The rates of each step; `None` for a step without a record.
    pub(crate) all: Vec<Option<Rate>>,
    /// Times in which the log was not read.
    pub(crate) gaps: Vec<Doubt>,
    /// Times in which there may be more lines than were counted.
    pub(crate) more: Vec<Doubt>,
}

impl Rates {
    /// Makes the rates from an agent's records, which must be in the order of time.
    pub(crate) fn of<'l>(steps: Steps, read: impl Iterator<Item = &'l HostLog>) -> Self {
        let mut rates =
            Self { steps, shift_us: 0, all: vec![None; steps.count()], gaps: Vec::new(), more: Vec::new() };
        // The end of the last record, and the reason why the log could not be read since then.
        let (mut known, mut absent) = (steps.from_us, None::<&str>);
        let mut first = true;
        for record in read.filter(|record| record.until_us > record.from_us) {
            if let Some(why) = &record.absent {
                absent = Some(why);
                continue;
            }
            rates.gap(known, record.from_us, absent.take());
            known = known.max(record.until_us);
            if std::mem::take(&mut first) {
                rates.shift_us = steps.shift_us(record.from_us);
            }
            let why = record.missed.clone().or_else(|| {
                (record.cut > 0)
                    .then(|| format!("{} lines were too long to be searched completely", record.cut))
            });
            if let Some(why) = why {
                rates.more.push(Doubt { from_us: record.from_us, until_us: record.until_us, why });
            }
            rates.put(record);
        }
        rates.gap(known, steps.until_us, absent);
        rates
    }

    /// Adds the time between two records as a gap, unless it is too short to be one. `absent` is the reason, if the agent gave one; then any
    /// time is a gap.
    fn gap(&mut self, from_us: i64, until_us: i64, absent: Option<&str>) {
        let at_an_end = from_us == self.steps.from_us || until_us == self.steps.until_us;
        let least = if absent.is_some() {
            1
        } else if at_an_end {
            ENDS_US
        } else {
            ROUNDING_US
        };
        if until_us.saturating_sub(from_us) < least {
            return;
        }
        let why = absent.unwrap_or("not read").to_owned();
        self.gaps.push(Doubt { from_us, until_us, why });
    }

    /// Adds the rate of a record to its steps.
    fn put(&mut self, record: &HostLog) {
        let length = record.until_us.saturating_sub(record.from_us);
        let rate = record.matched as f64 * 1e6 / length.max(1) as f64;
        // A record that is not longer than a step belongs to the step in which it begins. A longer one also belongs to each further step of
        // which it covers more than the first half.
        let last = self.steps.place(record.until_us.saturating_sub(self.steps.step_us / 2).saturating_sub(1));
        let first = self.steps.place(record.from_us);
        let places = first.max(0)..=last.max(first);
        for place in places {
            let Some(there) = usize::try_from(place).ok().and_then(|place| self.all.get_mut(place)) else {
                return;
            };
            *there = Some(there.map_or(Rate { low: rate, high: rate }, |there| Rate {
                low: there.low.min(rate),
                high: there.high.max(rate),
            }));
        }
    }

    /// Whether any step has several rates.
    pub(crate) fn is_wide(&self) -> bool {
        self.all.iter().flatten().any(|rate| rate.low < rate.high)
    }

    /// Returns the highest rate; 0 if nothing matched or nothing was read.
    pub(crate) fn highest(&self) -> f64 {
        self.all.iter().flatten().map(|rate| rate.high).fold(0.0, f64::max)
    }

    /// Merges the rates of several hosts, which have the same steps. Each step has the lowest and the highest rate of all; the result has the
    /// gaps of all. `None` if `all` is empty.
    pub(crate) fn widest(all: &[&Self]) -> Option<Self> {
        let (first, others) = all.split_first()?;
        let mut widest = (*first).clone();
        for other in others {
            for (there, rate) in widest.all.iter_mut().zip(&other.all) {
                *there = there
                    .zip(*rate)
                    .map(|(a, b)| Rate { low: a.low.min(b.low), high: a.high.max(b.high) })
                    .or(*there)
                    .or(*rate);
            }
            widest.gaps.extend(other.gaps.iter().cloned());
            widest.more.extend(other.more.iter().cloned());
        }
        Some(widest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::S;

    fn read(from: i64, until: i64, matched: u64) -> HostLog {
        HostLog { from_us: from * S, until_us: until * S, matched, ..HostLog::default() }
    }

    #[test]
    fn a_peak_is_never_averaged_away_and_time_without_records_is_a_gap() {
        let mut all: Vec<HostLog> =
            (0..100).map(|second| read(second, second + 1, u64::from(second == 40) * 9)).collect();
        all.drain(60..70);
        all[80].missed = Some("the file was cut".to_owned());
        let rates = Rates::of(Steps::new(0, 100 * S, 10), all.iter());
        assert_eq!(rates.all[4], Some(Rate { low: 0.0, high: 9.0 }));
        assert_eq!((rates.all[6], rates.highest()), (None, 9.0));
        assert_eq!(rates.gaps, [Doubt { from_us: 60 * S, until_us: 70 * S, why: "not read".to_owned() }]);
        assert_eq!(rates.more.len(), 1);
        let absent = HostLog { absent: Some("no such file".to_owned()), ..read(0, 5, 0) };
        let late = Rates::of(Steps::new(0, 10 * S, 10), [&absent, &read(5, 10, 10)].into_iter());
        assert_eq!(late.gaps, [Doubt { from_us: 0, until_us: 5 * S, why: "no such file".to_owned() }]);
        assert_eq!(
            (late.all[4], late.all[5], late.all[9].map(|rate| rate.high)),
            (None, Some(Rate { low: 2.0, high: 2.0 }), Some(2.0))
        );
        let widest =
            Rates::widest(&[&late, &Rates::of(Steps::new(0, 10 * S, 10), [&read(0, 10, 0)].into_iter())])
                .expect("two");
        assert_eq!(
            (widest.all[0], widest.all[5]),
            (Some(Rate { low: 0.0, high: 0.0 }), Some(Rate { low: 0.0, high: 2.0 }))
        );
    }
}
