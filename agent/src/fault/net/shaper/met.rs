//! Decides whether a fault that changes packets by chance has changed at least one. If the engine counts changed packets, that count
//! decides. Otherwise so many packets must have come that chance has almost surely changed one of them. Counts nothing itself.

use firedrill_wire::evidence::{Evidence, Seen};

use crate::host::impair::Impair;

/// The expected number of changed packets from which on at least one counts as changed. If 7 are expected, chance changes none of them in
/// about one of a thousand cases (e^-7).
const SURE: f64 = 7.0;

/// Adds to the evidence whether packets were changed. `seen` is the number of packets that came to the engine, and `changed` the number of
/// packets that it changed; `None` if it does not count them.
pub(super) fn add(evidence: &mut Evidence, impair: &Impair, seen: u64, changed: Option<u64>) {
    let (exercised, why) = exercised(impair, seen, changed);
    evidence.exercised = exercised;
    evidence.count = Some(seen);
    evidence.detail.insert_str(0, why);
}

/// Returns whether at least one packet was changed, and a clause that says why if not; the clause is empty or ends in a space.
fn exercised(impair: &Impair, seen: u64, changed: Option<u64>) -> (Seen, &'static str) {
    // A fault that changes all packets has changed one as soon as one has come.
    let Some(picked) = impair.by_chance().filter(|_| seen > 0) else {
        return (if seen > 0 { Seen::Yes } else { Seen::No }, "");
    };
    match changed {
        Some(0) => (Seen::No, "chance has changed none of them yet; "),
        Some(_) => (Seen::Yes, ""),
        None if picked.is_independent && seen as f64 * picked.share >= SURE => (Seen::Yes, ""),
        None if picked.is_independent => {
            (Seen::Unknown, "so few packets that chance may have changed none of them; ")
        }
        None => (
            Seen::Unknown,
            "with a correlation, chance may have changed none of them, and the kernel does not count those that it changed; ",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::impair::{Chance, Loss};

    #[test]
    fn a_packet_that_came_does_not_show_that_a_packet_was_changed() {
        let chance = |share| Chance { share, correlation: 0.0 };
        let lose = Impair { loss: Loss::Random(chance(0.01)), ..Impair::default() };
        let corrupt = Impair { corrupt: chance(0.01), ..Impair::default() };
        let slow = Impair { delay: std::time::Duration::from_millis(9), ..Impair::default() };
        let exercised = |impair: &Impair, seen, changed| super::exercised(impair, seen, changed).0;
        assert_eq!(exercised(&lose, 100, Some(0)), Seen::No);
        assert_eq!(exercised(&lose, 100, Some(1)), Seen::Yes);
        assert_eq!(exercised(&corrupt, 100, None), Seen::Unknown);
        assert_eq!(exercised(&corrupt, 700, None), Seen::Yes);
        assert_eq!(exercised(&slow, 1, None), Seen::Yes);
        for impair in [&lose, &corrupt, &slow] {
            assert_eq!(exercised(impair, 0, None), Seen::No);
        }
        // With a correlation, long sequences of packets may stay unchanged: with a share of a half and a correlation of 95 %, 14 packets in
        // a third of the cases.
        let correlated = Chance { share: 0.5, correlation: 0.95 };
        let correlated = Impair { corrupt: correlated, ..Impair::default() };
        assert_eq!(exercised(&correlated, 10_000, None), Seen::Unknown);
        assert_eq!(exercised(&correlated, 14, Some(1)), Seen::Yes);
        assert_eq!(exercised(&Impair { corrupt: chance(1.0), ..Impair::default() }, 1, None), Seen::Yes);
    }
}
