//! When was it good again? The moment from which on the share of good requests never falls below a threshold, and the
//! range in which that moment lies. Looks at single requests; pure.
//!
//! With a threshold `c`, each bad request costs `c` and each good one saves `1 - c`. The moment `T` is where that sum is
//! highest: every stretch that begins there has a share of at least `c`, every stretch that ends there at most `c`. The
//! range leaves out each moment that the requests refute: because a stretch that begins there is shown to be worse than
//! `c`, or one that ends there is shown to be better. A stretch is shown to be so where a betting process (a non-negative
//! supermartingale, Ville's inequality) grows by 3/0.025, for one of three alternatives each; so the true moment is left
//! out with a chance of at most 2.5 % a side, whatever the shape of the failures, and for all stretches at once.

/// One request: when it was due in microseconds, and whether it was good.
pub(crate) type Seen = (i64, bool);

/// A moment and its range, in microseconds on the requests' clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turning {
    /// When the last bad request before it was due; `None` where it never was bad enough.
    pub(crate) at_us: Option<i64>,
    /// It is not before this.
    pub(crate) low_us: i64,
    /// It is not after this; `None` where that is not shown.
    pub(crate) high_us: Option<i64>,
}

/// The natural logarithm of 3 / 0.025: three alternatives share the chance of a wrong side.
const SHOWN: f64 = 4.787_491_742_782_046;

/// Finds the moment among requests that were due from `from` on; `threshold` is above 0 and below 1.
pub(crate) fn turning(requests: &[Seen], from: i64, threshold: f64) -> Turning {
    let (mut sum, mut highest, mut place) = (0.0, 0.0, 0);
    for (at, (_, good)) in requests.iter().enumerate() {
        sum += if *good { threshold - 1.0 } else { threshold };
        // A little above, because sums of decimals are not exact.
        if sum > highest + 1e-9 {
            (highest, place) = (sum, at + 1);
        }
    }
    let at_us = place.checked_sub(1).and_then(|last| requests.get(last)).map(|(due, _)| *due);
    let left = |refuted: &[bool]| {
        let all = 0..=requests.len();
        let mut left = all.filter(|place| !refuted[*place]);
        let first = left.next();
        first.map(|first| (first, left.next_back().unwrap_or(first)))
    };
    let (low_us, high_us) = match left(&refuted(requests, threshold)) {
        Some((first, last)) => (
            first.checked_sub(1).map_or(from, |before| requests[before].0),
            requests.get(last).map(|(due, _)| *due),
        ),
        // Nothing is left: the requests are like no system at all, so nothing is shown.
        None => (from, None),
    };
    Turning {
        at_us,
        low_us: low_us.min(at_us.unwrap_or(from)),
        high_us: high_us.map(|high| high.max(at_us.unwrap_or(from))),
    }
}

/// Which places between requests are refuted; place `i` is before request `i`.
fn refuted(requests: &[Seen], threshold: f64) -> Vec<bool> {
    let mut refuted = vec![false; requests.len() + 1];
    let rest = 1.0 - threshold;
    let better = [1.0 - rest / 2.0, 1.0 - rest / 10.0, 1.0 - rest / 50.0];
    for step in better.map(|other| Step::new(other, threshold)) {
        let (mut sum, mut lowest) = (0.0_f64, 0.0_f64);
        for (place, (_, good)) in requests.iter().enumerate() {
            sum += step.of(*good);
            lowest = lowest.min(sum);
            refuted[place + 1] |= sum - lowest >= SHOWN;
        }
    }
    for step in worse(threshold) {
        // From the end: how much a walk that begins here grows at most.
        let mut most = 0.0_f64;
        for (place, (_, good)) in requests.iter().enumerate().rev() {
            most = (most + step.of(*good)).max(0.0);
            refuted[place] |= most >= SHOWN;
        }
    }
    refuted
}

/// The walks that show that a share is below the threshold.
fn worse(threshold: f64) -> [Step; 3] {
    let shares = if threshold > 0.7 {
        [0.1, 0.5, threshold - 1.5 * (1.0 - threshold)]
    } else {
        [0.1 * threshold, 0.3 * threshold, 0.7 * threshold]
    };
    shares.map(|share| Step::new(share, threshold))
}

/// How a walk goes on with each request: the logarithm of the chance of it under one share against the other.
struct Step {
    good: f64,
    bad: f64,
}

impl Step {
    fn new(share: f64, against: f64) -> Self {
        Self { good: (share / against).ln(), bad: ((1.0 - share) / (1.0 - against)).ln() }
    }

    const fn of(&self, good: bool) -> f64 {
        if good { self.good } else { self.bad }
    }
}

/// How many good requests in a row show that a share is above the threshold.
#[must_use]
pub(crate) fn good_to_show(threshold: f64) -> f64 {
    SHOWN / Step::new(1.0 - (1.0 - threshold) / 50.0, threshold).good
}

/// The longest outage: the stretch in which bad requests outweigh good ones by most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outage {
    /// When its first bad request was due; `None` without an outage.
    pub(crate) from_us: Option<i64>,
    /// From its first to its last bad request.
    pub(crate) low_us: i64,
    /// From the last good request before to the first after it.
    pub(crate) high_us: i64,
    /// It is worse than the threshold by more than chance, also among as many stretches as there are.
    pub(crate) shown: bool,
}

/// Finds the longest outage among requests between two moments; `threshold` as for [`turning`].
pub(crate) fn longest_outage(requests: &[Seen], from: i64, until: i64, threshold: f64) -> Outage {
    let (mut sum, mut begin) = (0_i64, 0);
    let mut best: Option<(i64, usize, usize)> = None;
    for (place, (_, good)) in requests.iter().enumerate() {
        if sum <= 0 {
            (sum, begin) = (0, place);
        }
        sum += if *good { -1 } else { 1 };
        if sum > best.map_or(0, |(sum, _, _)| sum) {
            best = Some((sum, begin, place));
        }
    }
    let Some((_, first, last)) = best else { return Outage::default() };
    let before = first.checked_sub(1).map_or(from, |before| requests[before].0);
    let after = requests.get(last + 1).map_or(until, |(due, _)| *due);
    let stretch = &requests[first..=last];
    let walks = worse(threshold).map(|step| stretch.iter().map(|(_, good)| step.of(*good)).sum::<f64>());
    let walk = walks.into_iter().fold(f64::NEG_INFINITY, f64::max);
    Outage {
        // A stretch may begin at any request, so the chance is shared among all of them.
        shown: walk >= SHOWN + (requests.len() as f64).ln(),
        from_us: Some(requests[first].0),
        low_us: requests[last].0.saturating_sub(requests[first].0),
        high_us: after.saturating_sub(before),
    }
}

#[cfg(test)]
mod tests;
