//! When was it good again? Looks at windows of some seconds, so that one stray failure is not an outage.

use super::facts::Sample;

/// How many bins are looked at together.
pub(crate) const WINDOW: usize = 5;

/// What slipped requests, of which nobody knows how they would have gone, are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slips {
    /// Left out: the figure that is shown.
    Out,
    /// Good ones: what is bad even so is violated.
    Good,
    /// Bad ones, over the whole bin: what is good even so has held.
    Bad,
}

/// What the bins from some moment on show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Regain {
    /// Nothing was measured there.
    Unmeasured,
    /// It never was bad.
    AlwaysGood,
    /// Bad for the last time at this moment, and good from then on, for a whole window at least.
    At(i64),
    /// Not good for a whole window at the end; it was bad at this moment or later.
    NotYet(i64),
}

/// Looks at the bins between two moments, for the first one from which the share of good requests stays at or above
/// `good`. The moment is that of the last bad request before, not of a bin's end.
pub(crate) fn regain(samples: &[Sample<'_>], from: i64, until: i64, good: f64, slips: Slips) -> Regain {
    let bins: Vec<Slot> = samples
        .iter()
        .filter(|bin| bin.until_us > from && bin.until_us <= until)
        .map(|bin| Slot::of(bin, slips))
        .filter(|bin| bin.all > 0)
        .collect();
    if bins.is_empty() {
        return Regain::Unmeasured;
    }
    // A bin across the beginning counts with its bad requests only if one was due after it.
    let bad = |bin: &Slot| if bin.last_bad_us < from { 0 } else { bin.bad };
    let width = WINDOW.min(bins.len());
    let is_bad = |window: &[Slot]| {
        let bad: u64 = window.iter().map(bad).sum();
        let all: u64 = window.iter().map(|bin| bin.all).sum();
        bad > 0 && ((all.saturating_sub(bad)) as f64) < good * all as f64
    };
    let Some(last) = bins.windows(width).rposition(is_bad) else { return Regain::AlwaysGood };
    // The first bin of that window which was bad at all, and those after it that are too bad by themselves.
    let mut place = (last..last + width).find(|place| bad(&bins[*place]) > 0).unwrap_or(last);
    let first = bins[place].first_bad_us.max(from);
    while bins.get(place + 1).is_some_and(|next| is_bad(std::slice::from_ref(next))) {
        place += 1;
    }
    if bins.len() - place > width && last + width < bins.len() {
        Regain::At(bins[place].last_bad_us.max(from))
    } else {
        Regain::NotYet(first)
    }
}

/// A bin with its slipped requests taken for something.
struct Slot {
    all: u64,
    bad: u64,
    first_bad_us: i64,
    last_bad_us: i64,
}

impl Slot {
    fn of(bin: &Sample<'_>, slips: Slips) -> Self {
        let slipped = if slips == Slips::Out { 0 } else { bin.slipped };
        let lost = slips == Slips::Bad && slipped > 0;
        Self {
            all: bin.good + bin.bad + slipped,
            bad: bin.bad + if lost { slipped } else { 0 },
            first_bad_us: bin.first_bad_us.filter(|_| !lost).unwrap_or(bin.from_us),
            last_bad_us: bin.last_bad_us.filter(|_| !lost).unwrap_or(bin.until_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{S, bin};

    fn seen(bad: &[u64]) -> Vec<firedrill_wire::probe::Bin> {
        (0_i64..).zip(bad).map(|(second, bad)| bin("buy", second, 100 - bad, *bad)).collect()
    }

    fn found(bad: &[u64]) -> Regain {
        let bins = seen(bad);
        let samples: Vec<_> = (0_i64..)
            .zip(&bins)
            .map(|(second, bin)| super::super::facts::sample(second * S, bin, Some(0)))
            .collect();
        regain(&samples, 0, 1000 * S, 0.98, Slips::Out)
    }

    #[test]
    fn the_moment_is_that_of_the_last_bad_request() {
        assert_eq!(found(&[0; 20]), Regain::AlwaysGood);
        assert_eq!(found(&[]), Regain::Unmeasured);
        let mut bad = [0_u64; 20];
        bad[..3].fill(50);
        assert_eq!(found(&bad), Regain::At(2 * S + 490_000));
        // A stray failure is no outage, and neither ends one.
        bad[12] = 1;
        assert_eq!(found(&bad), Regain::At(2 * S + 490_000));
        bad[15] = 90;
        assert_eq!(found(&bad), Regain::NotYet(15 * S), "four good seconds are not enough");
        assert_eq!(found(&[3, 3, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0]), Regain::At(3 * S + 20_000));
        assert_eq!(found(&[30; 12]), Regain::NotYet(7 * S));
    }

    #[test]
    fn slipped_requests_may_have_been_either() {
        let mut bins = seen(&[0; 12]);
        (bins[2].good, bins[2].slipped) = (90, 10);
        let samples: Vec<_> = (0_i64..)
            .zip(&bins)
            .map(|(second, bin)| super::super::facts::sample(second * S, bin, Some(0)))
            .collect();
        let found = |good, slips| regain(&samples, 0, 1000 * S, good, slips);
        assert_eq!(found(0.99, Slips::Out), Regain::AlwaysGood);
        assert_eq!(found(0.99, Slips::Good), Regain::AlwaysGood);
        assert_eq!(found(0.99, Slips::Bad), Regain::At(3 * S), "the whole second may have been bad");
        assert_eq!(found(0.95, Slips::Bad), Regain::AlwaysGood, "ten of five hundred decide nothing here");
    }
}
