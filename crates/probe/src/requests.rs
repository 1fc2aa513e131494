//! The single requests of a bin: how each ended, two bits apiece, and when each was due.
//!
//! Due times are not stored: they follow from the first and the probe's schedule. What a bin says of itself otherwise
//! (counts, the first and the last bad one) is checked against them, so a bin from another generator is told, not guessed.

use base64::{Engine, prelude::BASE64_STANDARD};
use firedrill_wire::probe::{Arrivals, Bin, Requests};

use crate::schedule;

/// The most by which due times that are calculated differ from those that a bin has, in microseconds.
const ROUNDED_US: u64 = 2;

/// Maximum number of requests in a bin: a few times what a probe may send in a second.
pub(crate) const MOST: usize = 100_000;

/// The end of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// With a good answer in time.
    Good = 1,
    /// With a bad answer, or none in time.
    Bad = 2,
    /// The vantage itself did not send or time it.
    Slipped = 3,
}

impl Outcome {
    pub(crate) const fn of(bits: u8) -> Option<Self> {
        match bits {
            1 => Some(Self::Good),
            2 => Some(Self::Bad),
            3 => Some(Self::Slipped),
            _ => None,
        }
    }
}

/// The random moments of one probe at one vantage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Requests a second.
    pub rate: f64,
    /// The choice of the moments.
    pub arrivals: Arrivals,
    /// Decides the random gaps.
    pub key: u64,
}

/// Returns each request of a bin in the order in which they were due: microseconds after the bin's start, and its end.
///
/// `None` where the bin does not have its requests, or contradicts itself or the pace.
#[must_use]
pub fn requests(bin: &Bin, pace: Pace) -> Option<Vec<(u64, Outcome)>> {
    let Some(said) = &bin.requests else {
        return (bin.due == 0).then(Vec::new);
    };
    let count = usize::try_from(bin.due).ok().filter(|count| *count <= MOST)?;
    let outcomes = unpack(said, count)?;
    let dues = schedule::follow(pace.rate, pace.arrivals, pace.key, said.first, said.first_us, count)?;
    let all: Vec<(u64, Outcome)> = dues.into_iter().zip(outcomes).collect();
    let number = |wanted: Outcome| all.iter().filter(|(_, outcome)| *outcome == wanted).count() as u64;
    let bad = || all.iter().filter(|(_, outcome)| *outcome == Outcome::Bad).map(|(due, _)| *due);
    // The due times follow from the first one, which was rounded down to a microsecond.
    let near = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (Some(one), Some(other)) => one.abs_diff(other) <= ROUNDED_US,
        (one, other) => one == other,
    };
    let fits = all.last().is_none_or(|(due, _)| *due <= bin.length_us)
        && number(Outcome::Good) == bin.good
        && number(Outcome::Bad) == bin.bad_total()
        && near(bad().next(), bin.first_bad_us)
        && near(bad().next_back(), bin.last_bad_us);
    fits.then_some(all)
}

/// Returns the text of [`Requests::outcomes`].
#[must_use]
pub fn pack(outcomes: &[Outcome]) -> String {
    if outcomes.iter().all(|outcome| *outcome == Outcome::Good) {
        return String::new();
    }
    let four = |four: &[Outcome]| {
        four.iter().enumerate().fold(0_u8, |byte, (at, outcome)| byte | (*outcome as u8) << (2 * at))
    };
    BASE64_STANDARD.encode(outcomes.chunks(4).map(four).collect::<Vec<u8>>())
}

fn unpack(said: &Requests, count: usize) -> Option<Vec<Outcome>> {
    if said.outcomes.is_empty() {
        return Some(vec![Outcome::Good; count]);
    }
    let bytes = BASE64_STANDARD.decode(&said.outcomes).ok()?;
    let bits = |at: usize| bytes.get(at / 4).and_then(|byte| Outcome::of(byte >> (2 * (at % 4)) & 3));
    (bytes.len() == count.div_ceil(4)).then(|| (0..count).map(bits).collect()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bin::Tally, outcome::Cause, schedule::Schedule};
    use proptest::prelude::*;

    /// A second of a schedule, with what the books would write of it.
    fn second(pace: Pace, start: u64, ends: &[Outcome]) -> (Bin, Vec<(u64, Outcome)>) {
        let mut schedule = Schedule::new(17, u64::MAX, pace.rate, pace.arrivals, pace.key).unwrap();
        schedule.take_before(start);
        let mut tally = Tally::default();
        let mut all = Vec::new();
        while let Some(due) = schedule.peek().filter(|due| *due < start + 1_000_000) {
            let place = tally.due(schedule.number(), due - start);
            schedule.take();
            let end = ends[all.len() % ends.len()];
            match end {
                Outcome::Good => tally.good(place, 1000, crate::outcome::Phases::default()),
                Outcome::Bad => tally.bad(place, Cause::Timeout, due - start),
                Outcome::Slipped => tally.slipped(place),
            }
            all.push((due - start, end));
        }
        (tally.seal("users", start, "boot"), all)
    }

    proptest! {
        #[test]
        fn due_times_follow_from_the_first(
            rate in 1.0_f64..500.0,
            key: u64,
            even: bool,
            start in 1_u64..50,
            ends in proptest::collection::vec(prop_oneof![Just(Outcome::Good), Just(Outcome::Bad), Just(Outcome::Slipped)], 1..9),
        ) {
            let pace = Pace { rate, arrivals: if even { Arrivals::Even } else { Arrivals::Poisson }, key };
            let (bin, all) = second(pace, start * 1_000_000, &ends);
            let read = requests(&bin, pace).expect("its own pace");
            prop_assert_eq!(read.len(), all.len());
            for (read, real) in read.iter().zip(&all) {
                prop_assert!(read.0.abs_diff(real.0) <= 1 && read.1 == real.1, "{:?} {:?}", read, real);
            }
        }
    }

    #[test]
    fn a_bin_of_another_generator_is_told() {
        let pace = Pace { rate: 100.0, arrivals: Arrivals::Poisson, key: 1 };
        let (bin, _) = second(pace, 3_000_000, &[Outcome::Good, Outcome::Bad]);
        assert!(requests(&bin, pace).is_some());
        assert!(requests(&bin, Pace { key: 2, ..pace }).is_none());
        assert!(requests(&Bin { good: bin.good - 1, ..bin.clone() }, pace).is_none());
        assert!(requests(&Bin { requests: None, ..bin.clone() }, pace).is_none());
        let mut cut = bin;
        cut.requests.as_mut().unwrap().outcomes.truncate(4);
        assert!(requests(&cut, pace).is_none());
    }

    #[test]
    fn good_seconds_cost_nothing() {
        assert_eq!(pack(&[Outcome::Good; 500]), "");
        assert_eq!(pack(&[Outcome::Bad; 200]).len(), 68);
    }
}
