//! Whether a fault that changes packets by chance has changed at least one. If the engine counts changed packets, that count decides.
//! Otherwise enough packets must have come that chance can hardly have spared them all.

use firedrill_wire::evidence::{Evidence, Seen};

use crate::host::impair::Impair;

/// Expected number of changed packets from which at least one is taken as changed. With 7 expected, chance spares all packets in one of a
/// thousand cases.
const SURE: f64 = 7.0;

/// Says in the evidence whether packets were changed. `seen` is the number of packets that came to the engine, `changed` of those that it
/// changed, where it counts them.
pub(super) fn say(evidence: &mut Evidence, impair: &Impair, seen: u64, changed: Option<u64>) {
    let (exercised, why) = met(impair, seen, changed);
    evidence.exercised = exercised;
    evidence.count = Some(seen);
    evidence.detail.insert_str(0, why);
}

fn met(impair: &Impair, seen: u64, changed: Option<u64>) -> (Seen, &'static str) {
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
    fn a_packet_that_came_is_no_packet_that_was_changed() {
        let chance = |share| Chance { share, correlation: 0.0 };
        let lose = Impair { loss: Loss::Random(chance(0.01)), ..Impair::default() };
        let corrupt = Impair { corrupt: chance(0.01), ..Impair::default() };
        let slow = Impair { delay: std::time::Duration::from_millis(9), ..Impair::default() };
        let seen = |impair: &Impair, seen, changed| met(impair, seen, changed).0;
        assert_eq!(seen(&lose, 100, Some(0)), Seen::No);
        assert_eq!(seen(&lose, 100, Some(1)), Seen::Yes);
        assert_eq!(seen(&corrupt, 100, None), Seen::Unknown);
        assert_eq!(seen(&corrupt, 700, None), Seen::Yes);
        assert_eq!(seen(&slow, 1, None), Seen::Yes);
        for impair in [&lose, &corrupt, &slow] {
            assert_eq!(seen(impair, 0, None), Seen::No);
        }
        // Long rows of packets may go unchanged: with a half and 95 %, 14 packets in a third of the cases.
        let correlated = Chance { share: 0.5, correlation: 0.95 };
        let correlated = Impair { corrupt: correlated, ..Impair::default() };
        assert_eq!(seen(&correlated, 10_000, None), Seen::Unknown);
        assert_eq!(seen(&correlated, 14, Some(1)), Seen::Yes);
        assert_eq!(seen(&Impair { corrupt: chance(1.0), ..Impair::default() }, 1, None), Seen::Yes);
    }
}
