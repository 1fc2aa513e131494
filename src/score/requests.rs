//! The requests of a vantage one by one, on the run's clock. Reads what bins say, and judges nothing.

pub(crate) use firedrill_probe::requests::{Outcome, Pace};

use super::{facts::Sample, judge::View};

/// One request: when it was due, in microseconds, and how it ended.
pub(crate) type Request = (i64, Outcome);

/// The requests of a bin, in the order in which they were due; `None` where the bin does not have them.
pub(crate) fn exact(sample: &Sample<'_>, pace: Option<Pace>) -> Option<Vec<Request>> {
    let all = firedrill_probe::requests::requests(sample.bin, pace?)?;
    let on_run = |(after, outcome): (u64, Outcome)| {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        (sample.from_us.saturating_add(after), outcome)
    };
    Some(all.into_iter().map(on_run).collect())
}

/// The requests of a vantage that were due in a stretch of time.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    /// In the order in which they were due.
    pub(crate) all: Vec<Request>,
    /// By how much a due time may be wrong, because a bin did not have its single requests, in microseconds.
    pub(crate) unsure_us: i64,
}

impl Requests {
    /// Returns the requests that were due in `from..until`. A bin without single requests has them spread out: the
    /// bad ones from the first to the last of them, the others over the whole second. `None` where there are more
    /// than the probe can have sent.
    pub(crate) fn of(view: &View<'_, '_>, from: i64, until: i64) -> Option<Self> {
        let mut requests = Self::default();
        // The seconds at the ends count as a whole here.
        let planned = view.probe.rate * (until.saturating_sub(from) as f64 / 1e6 + 2.0);
        let most = super::whole(2.0 * planned + 10.0 * planned.sqrt() + 100.0);
        let mut claimed = 0_u64;
        for sample in view.samples.iter().filter(|bin| bin.until_us > from && bin.from_us < until) {
            claimed = claimed.saturating_add(sample.due.max(sample.good + sample.bad + sample.slipped));
            if claimed > most {
                return None;
            }
            let all = exact(sample, view.pace).unwrap_or_else(|| {
                let length = sample.until_us.saturating_sub(sample.from_us);
                requests.unsure_us = requests.unsure_us.max(length);
                spread_out(sample)
            });
            requests.all.extend(all.into_iter().filter(|(due, _)| (from..until).contains(due)));
        }
        // Bins lie in the order of time, and can overlap only where a clock was measured anew.
        requests.all.sort_by_key(|(due, _)| *due);
        Some(requests)
    }

    /// Puts in good requests at that rate where nothing was measured: what was not seen may all have been good.
    pub(crate) fn with_gaps_good(&mut self, gaps: &[(i64, i64)], rate: f64) {
        let mut left = 10_000_000;
        for (from, until) in gaps {
            let length = until.saturating_sub(*from).max(0);
            let count = super::whole(length as f64 / 1e6 * rate).min(left);
            left -= count;
            let step = length as f64 / count.max(1) as f64;
            let due =
                |k: u64| from.saturating_add(i64::try_from(super::whole(k as f64 * step)).unwrap_or(length));
            self.all.extend((0..count).map(|k| (due(k), Outcome::Good)));
        }
        self.all.sort_by_key(|(due, _)| *due);
    }
}

fn spread_out(sample: &Sample<'_>) -> Vec<Request> {
    let mut all = Vec::new();
    let mut put = |count: u64, from: i64, until: i64, outcome: Outcome| {
        // A bin that claims more than a prober can send is not worth the memory.
        let count = i64::try_from(count.min(100_000)).unwrap_or(0);
        let step = until.saturating_sub(from) as f64 / (count - 1).max(1) as f64;
        for k in 0..count {
            let after = i64::try_from(super::whole(k as f64 * step)).unwrap_or(0);
            all.push((from.saturating_add(after), outcome));
        }
    };
    let last = sample.until_us.saturating_sub(1);
    put(sample.good, sample.from_us, last, Outcome::Good);
    put(sample.slipped, sample.from_us, last, Outcome::Slipped);
    let first_bad = sample.first_bad_us.unwrap_or(sample.from_us);
    put(sample.bad, first_bad, sample.last_bad_us.unwrap_or(last), Outcome::Bad);
    all.sort_by_key(|(due, _)| *due);
    all
}
