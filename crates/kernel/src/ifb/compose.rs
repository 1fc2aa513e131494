//! Finds the shortest chain of qdiscs on an ifb that has all effects of a set of faults. Only computes; changes nothing in the kernel.
//!
//! Different features share one netem. Two values of the same feature, such as two delays, need two.

use std::time::Duration;

use firedrill_packets::impair::{Chance, Impair, Loss, Rate, Reorder};

/// Maximum number of packets that wait in one netem. Further packets are dropped and counted.
pub const MOST_WAITING: u32 = 50_000;

/// One qdisc.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    /// netem: everything but a rate.
    Netem(Impair),
    /// tbf: a rate.
    Tbf(Rate),
}

/// The reason why ifbs cannot have the effects of a set of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unable {
    /// No slot is free.
    #[error("{} faults of the kernel's are on this host already", super::MOST)]
    Full,
    /// netem cannot duplicate packets in a chain of several.
    #[error("netem cannot double packets that another fault treats the same way")]
    Doubled,
}

/// Returns the stages for a set of faults, in order.
pub(super) fn together<'a>(faults: impl IntoIterator<Item = &'a Impair>) -> Result<Vec<Stage>, Unable> {
    let mut netems: Vec<Impair> = Vec::new();
    let mut rates = Vec::new();
    for fault in faults {
        rates.extend(fault.rate.map(Stage::Tbf));
        let rest = Impair { rate: None, ..*fault };
        if rest == Impair::default() {
            continue;
        }
        match netems.iter_mut().find_map(|other| Some((merged(other, &rest)?, other))) {
            Some((both, place)) => *place = both,
            None => netems.push(rest),
        }
    }
    let mut stages: Vec<_> = netems.into_iter().map(Stage::Netem).collect();
    stages.extend(rates);
    // netem puts a duplicate into the first qdisc of the chain again, and newer kernels refuse such chains.
    let doubles =
        |stage: &Stage| matches!(stage, Stage::Netem(netem) if netem.duplicate != Chance::default());
    let netems = stages.iter().filter(|stage| matches!(stage, Stage::Netem(_))).count();
    if netems > 1 && stages.iter().any(doubles) { Err(Unable::Doubled) } else { Ok(stages) }
}

/// Merges two impairments into one netem; `None` if both use a feature that a netem has only once.
fn merged(one: &Impair, other: &Impair) -> Option<Impair> {
    let delays = |impair: &Impair| impair.delay > Duration::ZERO || impair.reorder != Reorder::default();
    let clash = delays(one) && delays(other)
        || one.loss != Loss::None && other.loss != Loss::None
        || one.duplicate != Chance::default() && other.duplicate != Chance::default()
        || one.corrupt != Chance::default() && other.corrupt != Chance::default();
    if clash {
        return None;
    }
    let delay = if delays(one) { one } else { other };
    let either = |one: Chance, other: Chance| if one == Chance::default() { other } else { one };
    Some(Impair {
        loss: if one.loss == Loss::None { other.loss } else { one.loss },
        duplicate: either(one.duplicate, other.duplicate),
        corrupt: either(one.corrupt, other.corrupt),
        rate: None,
        ..*delay
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(ms: u64) -> Impair {
        Impair { delay: Duration::from_millis(ms), ..Impair::default() }
    }

    const FIVE: Chance = Chance { share: 0.05, correlation: 0.0 };

    #[test]
    fn different_features_share_one_netem() {
        let lose = Impair { loss: Loss::Random(FIVE), ..Impair::default() };
        let twice = Impair { duplicate: FIVE, ..Impair::default() };
        let rate = Rate { bits: 1_000_000, burst: 2_000 };
        let throttle = Impair { rate: Some(rate), ..Impair::default() };
        let both = Impair { loss: Loss::Random(FIVE), duplicate: FIVE, ..slow(500) };
        let stages = together([&slow(500), &lose, &throttle, &twice]);
        assert_eq!(stages, Ok(vec![Stage::Netem(both), Stage::Tbf(rate)]));
    }

    #[test]
    fn delays_add_up_and_duplication_is_refused_in_a_chain() {
        let (first, second) = (slow(100), slow(50));
        assert_eq!(together([&first, &second]), Ok(vec![Stage::Netem(first), Stage::Netem(second)]));
        let twice = Impair { duplicate: FIVE, ..Impair::default() };
        assert_eq!(together([&first, &second, &twice]), Err(Unable::Doubled));
        assert_eq!(together([]), Ok(Vec::new()));
    }
}
