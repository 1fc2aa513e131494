//! The single requests of one second, ordered by due time. Only reads a second; judges nothing.

use firedrill_probe::schedule;

pub(crate) use firedrill_probe::requests::{Outcome, Pace};

use super::sample::Sample;

/// One request: its due time in microseconds, and its outcome.
pub(crate) type Request = (i64, Outcome);

/// Returns the requests of a second, ordered by due time; `None` if it does not have them.
pub(crate) fn exact(sample: &Sample, pace: Option<Pace>) -> Option<Vec<Request>> {
    let count = usize::try_from(sample.due()).ok()?;
    let dues = dues(sample, pace?, count)?;
    let ends = ends(sample)
        .flat_map(|(outcome, count)| std::iter::repeat_n(outcome, usize::try_from(count).unwrap_or(0)));
    Some(dues.into_iter().zip(ends).collect())
}

/// Returns the due times of the first `count` requests of a second.
pub(super) fn dues(sample: &Sample, pace: Pace, count: usize) -> Option<Vec<i64>> {
    let (first, first_us) = sample.single()?;
    let dues = schedule::follow(pace.rate, pace.arrivals, pace.key, first, first_us, count)?;
    let on_run = |after: u64| sample.from_us.saturating_add(i64::try_from(after).unwrap_or(i64::MAX));
    Some(dues.into_iter().map(on_run).collect())
}

/// Returns the outcomes of a second's single requests, in runs.
pub(super) fn ends(sample: &Sample) -> impl Iterator<Item = (Outcome, u64)> {
    let all_good = sample.ends().is_empty() && sample.due() > 0;
    let all_good = all_good.then(|| (Outcome::Good, sample.due()));
    sample.ends().iter().map(|(outcome, count)| (*outcome, u64::from(*count))).chain(all_good)
}

/// Spreads the requests of a second that does not have its single requests: the bad ones from the first to the last of them, the others
/// over the whole second.
pub(super) fn spread_out(sample: &Sample) -> Vec<Request> {
    let mut requests = Vec::new();
    let mut put = |count: u64, from: i64, until: i64, outcome: Outcome| {
        // A bin that claims more requests than a prober can send is damaged, and must not use up the memory.
        let count = i64::try_from(count.min(100_000)).unwrap_or(0);
        let step = until.saturating_sub(from) as f64 / (count - 1).max(1) as f64;
        for k in 0..count {
            let after = i64::try_from(firedrill_statistics::whole(k as f64 * step)).unwrap_or(0);
            requests.push((from.saturating_add(after), outcome));
        }
    };
    let last = sample.until_us.saturating_sub(1);
    put(sample.good(), sample.from_us, last, Outcome::Good);
    put(sample.slipped(), sample.from_us, last, Outcome::Slipped);
    let first_bad = sample.first_bad_us().unwrap_or(sample.from_us);
    put(sample.bad(), first_bad, sample.last_bad_us().unwrap_or(last), Outcome::Bad);
    requests.sort_by_key(|(due, _)| *due);
    requests
}
