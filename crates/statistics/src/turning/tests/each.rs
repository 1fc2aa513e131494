//! A direct implementation of the definition, request by request, as a reference for the implementation by runs.

use super::{super::*, Request};

/// Finds the moment among requests that were due from `from` on; `threshold` is above 0 and below 1.
pub(super) fn turning(requests: &[Request], from: i64, threshold: f64) -> Turning {
    let (mut sum, mut highest, mut place) = (0.0, 0.0, 0);
    for (at, (_, good)) in requests.iter().enumerate() {
        sum += if *good { threshold - 1.0 } else { threshold };
        // The margin covers rounding errors of sums.
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
        // No moment is left: no system fits the requests, so nothing is shown.
        None => (from, None),
    };
    Turning {
        at_us,
        low_us: low_us.min(at_us.unwrap_or(from)),
        high_us: high_us.map(|high| high.max(at_us.unwrap_or(from))),
    }
}

/// Returns which places between requests are refuted; place `i` is before request `i`.
fn refuted(requests: &[Request], threshold: f64) -> Vec<bool> {
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
        // Maximum growth of a walk that begins here, computed from the end.
        let mut most = 0.0_f64;
        for (place, (_, good)) in requests.iter().enumerate().rev() {
            most = (most + step.of(*good)).max(0.0);
            refuted[place] |= most >= SHOWN;
        }
    }
    refuted
}

/// Finds the longest outage among requests between two moments; `threshold` as for [`turning`].
pub(super) fn longest_outage(requests: &[Request], from: i64, until: i64, threshold: f64) -> Outage {
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
