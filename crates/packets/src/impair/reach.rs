//! The packets that an impairment changes by chance: their share, and whether each is picked independently of the others.
//! From both follows after how many packets at least one has almost certainly been changed. Never draws for a real packet.

use super::{
    Chance, Impair, Loss,
    chance::{Dice, Event},
};

/// Number of draws by which the share of correlated draws is found: exact to about a tenth of a percent.
const DRAWS: u32 = 20_000;
/// The seed of these draws; any would do.
const SEED: u64 = 1;

/// The way in which chance picks packets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Picked {
    /// The share of packets, 0 to 1, as the scenario has it. Where reordering has a gap, it is a lower bound. A correlation
    /// is not considered here, although it changes the share (see [`Chance::in_the_long_run`]).
    pub share: f64,
    /// Whether each packet is picked independently of the others. Otherwise many packets in a row may not be picked.
    pub is_independent: bool,
}

impl Chance {
    /// Returns the share that happens in the long run, 0 to 1. Without correlation it is the share that was asked for. With correlation,
    /// netem's draws crowd around the middle, so a share below a half gets smaller, and one above a half gets larger.
    #[must_use]
    pub fn in_the_long_run(&self) -> f64 {
        if self.correlation <= 0.0 {
            return self.share;
        }
        let mut dice = Dice::new(SEED);
        let mut event = Event::new(*self, &mut dice);
        let hits = (0..DRAWS).filter(|_| event.happens(&mut dice)).count();
        hits as f64 / f64::from(DRAWS)
    }
}

impl Impair {
    /// Returns how chance picks the packets that are changed; `None` if each packet is changed. Of several impairments the
    /// first counts: loss, reordering, duplication, corruption.
    #[must_use]
    pub fn by_chance(&self) -> Option<Picked> {
        let draw = |chance: Chance, gap: u32| Picked {
            share: chance.share / f64::from(gap.max(1)),
            is_independent: chance.correlation <= 0.0,
        };
        let found = match self.loss {
            Loss::Random(chance) => draw(chance, 1),
            Loss::GilbertElliott { to_bad, to_good, in_bad, in_good } => {
                let passes = to_bad + to_good;
                let bad = if passes > 0.0 { to_bad / passes } else { 0.0 };
                Picked { share: bad * in_bad + (1.0 - bad) * in_good, is_independent: false }
            }
            Loss::None if self.reorder.chance.share > 0.0 => draw(self.reorder.chance, self.reorder.gap),
            Loss::None => draw(*[self.duplicate, self.corrupt].iter().find(|chance| chance.share > 0.0)?, 1),
        };
        (found.share < 1.0).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chance(share: f64, correlation: f64) -> Chance {
        Chance { share, correlation }
    }

    #[test]
    fn correlated_draws_make_small_shares_smaller_and_large_ones_larger() {
        assert!((chance(0.05, 0.0).in_the_long_run() - 0.05).abs() < f64::EPSILON);
        for (share, correlation, low, high) in
            [(0.05, 0.25, 0.0, 0.01), (0.05, 0.5, 0.0, 0.001), (0.3, 0.5, 0.05, 0.29), (0.9, 0.95, 0.99, 1.0)]
        {
            let found = chance(share, correlation).in_the_long_run();
            assert!((low..=high).contains(&found), "{share} {correlation}: {found}");
        }
    }

    #[test]
    fn only_impairments_of_a_part_of_the_packets_are_by_chance() {
        let late = Impair { delay: std::time::Duration::from_millis(1), ..Impair::default() };
        assert_eq!(late.by_chance(), None);
        let all = Impair { corrupt: chance(1.0, 0.0), ..Impair::default() };
        assert_eq!(all.by_chance(), None, "100 %");
        let lost = |loss| Impair { loss, ..late }.by_chance().unwrap();
        assert!((lost(Loss::Random(chance(0.2, 0.0))).share - 0.2).abs() < 1e-9);
        let bursts = |to_bad, to_good| Loss::GilbertElliott { to_bad, to_good, in_bad: 0.8, in_good: 0.1 };
        // A quarter of the packets meet the bad state.
        assert!((lost(bursts(0.1, 0.3)).share - (0.25 * 0.8 + 0.75 * 0.1)).abs() < 1e-9);
        assert!((lost(bursts(0.0, 0.0)).share - 0.1).abs() < 1e-9, "the state does not stay good");
        assert!(!lost(bursts(0.1, 0.3)).is_independent);
        let twice = |correlation| {
            Impair { duplicate: chance(0.3, correlation), ..Impair::default() }.by_chance().unwrap()
        };
        assert!(twice(0.0).is_independent && !twice(0.1).is_independent);
        let reorder = super::super::Reorder { chance: chance(0.3, 0.0), gap: 3 };
        assert!((Impair { reorder, ..late }.by_chance().unwrap().share - 0.1).abs() < 1e-9);
    }
}
