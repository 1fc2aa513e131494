//! Finds the moment from which on the share of good requests never falls below a threshold, and the range in which
//! that moment lies. Looks at single requests; pure.
//!
//! With a threshold `c`, each bad request costs `c` and each good one saves `1 - c`. The moment `T` is where that sum
//! is highest: every stretch that begins there has a share of at least `c`, every stretch that ends there at most
//! `c`. The range leaves out each moment that the requests refute: because a stretch that begins there is shown to be
//! worse than `c`, or one that ends there is shown to be better. On each side three betting processes (non-negative
//! supermartingales, Ville's inequality) look for evidence, each for another alternative share; a stretch is shown to be
//! so when one of them has grown by 3/0.025. So the true moment is left out with a probability of at most 2.5 % a side,
//! whatever the shape of the failures, and for all stretches at once.

/// Requests ordered by due time, in runs of equal outcomes: hours of good requests cost no more than one.
pub trait Seen {
    /// Returns, for each run, whether its requests were good, and their number. Neighbours may have the same outcome.
    fn runs(&self) -> &[(bool, u64)];
    /// Returns the due time of a request of a run, counted from 0 in that run, in microseconds.
    fn due(&self, run: usize, number: u64) -> i64;
}

/// A moment and its range, in microseconds on the requests' clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turning {
    /// Due time of the last bad request before it; `None` if the share never was bad enough.
    pub at_us: Option<i64>,
    /// Lower end of the range.
    pub low_us: i64,
    /// Upper end of the range; `None` if the requests do not show one.
    pub high_us: Option<i64>,
}

/// The natural logarithm of 3 / 0.025: three alternatives share the error probability of a side.
const SHOWN: f64 = 4.787_491_742_782_046;

/// Finds the moment among requests that were due from `from` on; `threshold` is above 0 and below 1.
pub fn turning(requests: &impl Seen, from: i64, threshold: f64) -> Turning {
    let (mut sum, mut highest, mut best) = (0.0, 0.0, None);
    for (place, (good, count)) in requests.runs().iter().enumerate() {
        sum += *count as f64 * if *good { threshold - 1.0 } else { threshold };
        // The margin covers rounding errors of sums. The highest sum is at the end of a bad run.
        if sum > highest + 1e-9 {
            (highest, best) = (sum, Some((place, count - 1)));
        }
    }
    let at_us = best.map(|(run, number)| requests.due(run, number));
    let begins = begins(requests.runs());
    let all = begins.last().copied().unwrap_or(0);
    let due = |place: u64| {
        let run = begins.partition_point(|begin| *begin <= place).saturating_sub(1);
        requests.due(run, place - begins[run])
    };
    let (low_us, high_us) = match left(refuted(requests.runs(), &begins, threshold), all) {
        Some((first, last)) => (first.checked_sub(1).map_or(from, due), (last < all).then(|| due(last))),
        // No moment is left: no system fits the requests, so nothing is shown.
        None => (from, None),
    };
    Turning {
        at_us,
        low_us: low_us.min(at_us.unwrap_or(from)),
        high_us: high_us.map(|high| high.max(at_us.unwrap_or(from))),
    }
}

/// Returns the number of the first request of each run, and as its last element the number of all requests.
fn begins(runs: &[(bool, u64)]) -> Vec<u64> {
    let mut sum = 0;
    let mut begins = vec![0];
    begins.extend(runs.iter().map(|(_, count)| {
        sum += count;
        sum
    }));
    begins
}

/// Returns the first and the last place from 0 to `all` that is in no range; `None` if every place is in one.
fn left(mut ranges: Vec<(u64, u64)>, all: u64) -> Option<(u64, u64)> {
    ranges.sort_unstable();
    let mut first = 0;
    for (from, to) in &ranges {
        if *from <= first {
            first = first.max(to + 1);
        }
    }
    if first > all {
        return None;
    }
    // Goes backwards by the ranges' ends; at least `first` is in no range.
    ranges.sort_unstable_by_key(|(_, to)| *to);
    let mut last = all;
    for (from, to) in ranges.iter().rev() {
        if *to >= last && *from <= last {
            last = from.checked_sub(1)?;
        }
    }
    Some((first, last))
}

/// Returns the ranges of refuted places between requests; place `i` is before request `i`.
fn refuted(runs: &[(bool, u64)], begins: &[u64], threshold: f64) -> Vec<(u64, u64)> {
    let mut refuted = Vec::new();
    let rest = 1.0 - threshold;
    let better = [1.0 - rest / 2.0, 1.0 - rest / 10.0, 1.0 - rest / 50.0];
    for step in better.map(|other| Step::new(other, threshold)) {
        // Height of the walk above its lowest point so far. Good requests raise it.
        let mut above = 0.0_f64;
        for ((good, count), begin) in runs.iter().zip(begins) {
            let (from, to) = shown(above, step.of(*good), *count);
            if from <= to {
                refuted.push((begin + from, begin + to));
            }
            above = (above + step.of(*good) * *count as f64).max(0.0);
        }
    }
    for step in worse(threshold) {
        // Maximum growth of a walk that begins here, computed from the end. Bad requests raise it.
        let mut most = 0.0_f64;
        for ((good, count), begin) in runs.iter().zip(begins).rev() {
            let (from, to) = shown(most, step.of(*good), *count);
            if from <= to {
                refuted.push((begin + count - to, begin + count - from));
            }
            most = (most + step.of(*good) * *count as f64).max(0.0);
        }
    }
    refuted
}

/// Returns the range of steps, from 1 to `count`, after which a walk that begins at `height` is high enough to be
/// evidence. The range is empty if its first number is above its second.
fn shown(height: f64, step: f64, count: u64) -> (u64, u64) {
    if step > 0.0 {
        let needed = ((SHOWN - height) / step).ceil().max(1.0);
        (crate::whole(needed), count)
    } else {
        let held = ((height - SHOWN) / -step).floor();
        (1, if held < 1.0 { 0 } else { crate::whole(held).min(count) })
    }
}

/// Returns the walks that show that a share is below the threshold.
fn worse(threshold: f64) -> [Step; 3] {
    let shares = if threshold > 0.7 {
        [0.1, 0.5, threshold - 1.5 * (1.0 - threshold)]
    } else {
        [0.1 * threshold, 0.3 * threshold, 0.7 * threshold]
    };
    shares.map(|share| Step::new(share, threshold))
}

/// The steps of a walk: the log-likelihood ratio of a request under one share against the other.
struct Step {
    good: f64,
    bad: f64,
}

impl Step {
    fn new(share: f64, against: f64) -> Self {
        Self { good: (share / against).ln(), bad: ((1.0 - share) / (1.0 - against)).ln() }
    }

    /// Returns the step of a walk at one request.
    const fn of(&self, good: bool) -> f64 {
        if good { self.good } else { self.bad }
    }
}

/// Returns the number of good requests in a row that show that a share is above the threshold.
#[must_use]
pub fn good_to_show(threshold: f64) -> f64 {
    SHOWN / Step::new(1.0 - (1.0 - threshold) / 50.0, threshold).good
}

/// The longest outage: the stretch in which bad requests most outweigh good ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    /// Due time of its first bad request; `None` without an outage.
    pub from_us: Option<i64>,
    /// Time from its first to its last bad request.
    pub low_us: i64,
    /// Time from the last good request before it to the first after it.
    pub high_us: i64,
    /// Whether it is worse than the threshold by more than chance, given the number of possible stretches.
    pub shown: bool,
}

/// Finds the longest outage among requests between two moments; `threshold` as for [`turning`].
pub fn longest_outage(requests: &impl Seen, from: i64, until: i64, threshold: f64) -> Outage {
    let runs = requests.runs();
    let (mut sum, mut begin) = (0_i64, 0);
    let mut best: Option<(i64, usize, usize)> = None;
    for (place, (good, count)) in runs.iter().enumerate() {
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        if *good {
            sum = sum.saturating_sub(count).max(0);
            continue;
        }
        if sum == 0 {
            begin = place;
        }
        sum = sum.saturating_add(count);
        if sum > best.map_or(0, |(sum, _, _)| sum) {
            best = Some((sum, begin, place));
        }
    }
    let Some((_, first, last)) = best else { return Outage::default() };
    let end = |run: usize| requests.due(run, runs[run].1.saturating_sub(1));
    let before = first.checked_sub(1).map_or(from, end);
    let after = if last + 1 < runs.len() { requests.due(last + 1, 0) } else { until };
    let walks = worse(threshold).map(|step| {
        let height = |(good, count): &(bool, u64)| step.of(*good) * *count as f64;
        runs[first..=last].iter().map(height).sum::<f64>()
    });
    let walk = walks.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let all = runs.iter().map(|(_, count)| *count).sum::<u64>();
    let (first_us, last_us) = (requests.due(first, 0), end(last));
    Outage {
        // A stretch may begin at any request, so the error probability is divided among all of them.
        shown: walk >= SHOWN + (all as f64).ln(),
        from_us: Some(first_us),
        low_us: last_us.saturating_sub(first_us),
        high_us: after.saturating_sub(before),
    }
}

#[cfg(test)]
mod tests;
