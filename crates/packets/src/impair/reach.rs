//! The share of packets that an impairment changes in the long run: what chance has to change at least, before anybody may say that a fault
//! met traffic.

use super::{
    Chance, Impair, Loss,
    chance::{Dice, Event},
};

/// Number of draws by which the share of correlated draws is found: exact to about a tenth of a percent.
const DRAWS: u32 = 20_000;
/// The seed of these draws; any would do.
const SEED: u64 = 1;

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
    /// Returns the share of packets that chance changes in the long run, 0 to 1; `None` if each packet is changed.
    #[must_use]
    pub fn by_chance(&self) -> Option<f64> {
        match self.loss {
            Loss::None => {}
            Loss::Random(chance) => return Some(chance.in_the_long_run()),
            Loss::GilbertElliott { to_bad, to_good, in_bad, in_good } => {
                let passes = to_bad + to_good;
                let bad = if passes > 0.0 { to_bad / passes } else { 0.0 };
                return Some(bad * in_bad + (1.0 - bad) * in_good);
            }
        }
        if self.reorder.chance.share > 0.0 {
            return Some(self.reorder.chance.in_the_long_run() / f64::from(self.reorder.gap.max(1)));
        }
        let chances = [self.duplicate, self.corrupt];
        chances.iter().find(|chance| chance.share > 0.0).map(Chance::in_the_long_run)
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
    fn what_hits_each_packet_is_no_matter_of_chance() {
        let late = Impair { delay: std::time::Duration::from_millis(1), ..Impair::default() };
        assert_eq!(late.by_chance(), None);
        let lost = |loss| Impair { loss, ..late }.by_chance().unwrap();
        assert!((lost(Loss::Random(chance(0.2, 0.0))) - 0.2).abs() < 1e-9);
        let bursts = |to_bad, to_good| Loss::GilbertElliott { to_bad, to_good, in_bad: 0.8, in_good: 0.1 };
        // A quarter of the packets meet the bad state.
        assert!((lost(bursts(0.1, 0.3)) - (0.25 * 0.8 + 0.75 * 0.1)).abs() < 1e-9);
        assert!((lost(bursts(0.0, 0.0)) - 0.1).abs() < 1e-9, "it stays good");
        let twice = Impair { duplicate: chance(0.3, 0.0), ..Impair::default() };
        assert!((twice.by_chance().unwrap() - 0.3).abs() < 1e-9);
        let reorder = super::super::Reorder { chance: chance(0.3, 0.0), gap: 3 };
        assert!((Impair { reorder, ..late }.by_chance().unwrap() - 0.1).abs() < 1e-9);
    }
}
