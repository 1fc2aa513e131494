//! Random draws as in netem: correlated ones, and the two models of loss.
//!
//! The formulas are those of Linux' net/sched/sch_netem.c (`get_crandom`, `loss_event`, `loss_gilb_ell`), so that the
//! shares are the same: with a correlation, draws crowd around the middle, and a small share gets smaller.

use super::{Chance, Loss};

/// A pseudo-random sequence that the seed determines (splitmix64).
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a uniform 32-bit number.
    pub(super) fn draw(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        high(mixed ^ (mixed >> 31))
    }

    /// Returns a uniform number below `bound`.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        high(u64::from(self.draw()) * u64::from(bound))
    }
}

/// Returns the upper 32 bits.
pub(super) fn high(number: u64) -> u32 {
    let [a, b, c, d, ..] = number.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Converts a share, 0 to 1, to a part of all 32-bit numbers; values outside are clamped.
pub(super) fn part(share: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the range, and casts saturate"
    )]
    let part = (share.clamp(0.0, 1.0) * f64::from(u32::MAX)).round() as u32;
    part
}

/// Draws of which each is correlated with the one before.
#[derive(Clone, Debug)]
pub(super) struct Correlated {
    /// The correlation, as a part of all 32-bit numbers.
    rho: u32,
    /// The last draw.
    last: u32,
}

impl Correlated {
    pub(super) fn new(correlation: f64, dice: &mut Dice) -> Self {
        Self { rho: part(correlation), last: dice.draw() }
    }

    /// Returns the next draw. It correlates with the draw before it, unless the correlation is 0.
    pub(super) fn draw(&mut self, dice: &mut Dice) -> u32 {
        let value = dice.draw();
        if self.rho == 0 {
            return value;
        }
        let rho = u64::from(self.rho) + 1;
        // The sum of the weights is 2³², so this fits.
        self.last = high(u64::from(value) * ((1 << 32) - rho) + u64::from(self.last) * rho);
        self.last
    }
}

/// An event that happens to a share of packets.
#[derive(Clone, Debug)]
pub(super) struct Event {
    share: u32,
    draws: Correlated,
}

impl Event {
    pub(super) fn new(chance: Chance, dice: &mut Dice) -> Self {
        Self { share: part(chance.share), draws: Correlated::new(chance.correlation, dice) }
    }

    /// Draws whether the event happens to the next packet.
    pub(super) fn happens(&mut self, dice: &mut Dice) -> bool {
        self.share != 0 && self.share >= self.draws.draw(dice)
    }
}

/// Decides which packets are lost.
///
/// The numbers of `Bursts` are parts of all 32-bit numbers, as of [`part`]; `bad` is the state.
#[derive(Clone, Debug)]
pub(super) enum Losing {
    Never,
    Random(Event),
    Bursts { bad: bool, to_bad: u32, to_good: u32, in_bad: u32, in_good: u32 },
}

impl Losing {
    pub(super) fn new(loss: Loss, dice: &mut Dice) -> Self {
        match loss {
            Loss::None => Self::Never,
            Loss::Random(chance) => Self::Random(Event::new(chance, dice)),
            Loss::GilbertElliott { to_bad, to_good, in_bad, in_good } => Self::Bursts {
                bad: false,
                to_bad: part(to_bad),
                to_good: part(to_good),
                in_bad: part(in_bad),
                in_good: part(in_good),
            },
        }
    }

    /// Draws whether the next packet is lost.
    pub(super) fn happens(&mut self, dice: &mut Dice) -> bool {
        let hit = |dice: &mut Dice, part: u32| part != 0 && part >= dice.draw();
        match self {
            Self::Never => false,
            Self::Random(event) => event.happens(dice),
            Self::Bursts { bad, to_bad, to_good, in_bad, in_good } => {
                // The state changes before the packet is judged by it, as in netem: each state lasts at least one
                // packet.
                let (leave, loss) = if *bad { (*to_good, *in_bad) } else { (*to_bad, *in_good) };
                *bad ^= hit(dice, leave);
                hit(dice, loss)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: u32 = 40_000;

    /// Five sigma of a share among all draws: one run in two million misses by chance, and the seeds are fixed.
    fn margin(share: f64) -> f64 {
        5.0 * (share * (1.0 - share) / f64::from(DRAWS)).sqrt()
    }

    fn losses(loss: Loss, seed: u64) -> Vec<bool> {
        let mut dice = Dice::new(seed);
        let mut losing = Losing::new(loss, &mut dice);
        (0..DRAWS).map(|_| losing.happens(&mut dice)).collect()
    }

    fn share(losses: &[bool]) -> f64 {
        f64::from(u32::try_from(losses.iter().filter(|lost| **lost).count()).unwrap()) / f64::from(DRAWS)
    }

    #[test]
    fn an_event_happens_with_its_share() {
        for (seed, wanted) in [(1, 0.0), (2, 0.001), (3, 0.05), (4, 0.5), (5, 0.97), (6, 1.0)] {
            let seen = share(&losses(Loss::Random(Chance { share: wanted, correlation: 0.0 }), seed));
            assert!((seen - wanted).abs() <= margin(wanted), "{wanted}: {seen}");
        }
    }

    #[test]
    fn shares_below_0_and_above_1_are_clamped() {
        assert_eq!((part(-1.0), part(7.0), part(f64::NAN)), (0, u32::MAX, 0));
    }

    #[test]
    fn draws_depend_on_the_one_before_as_much_as_asked() {
        for rho in [0.0, 0.25, 0.7, 0.95] {
            let mut dice = Dice::new(11);
            let mut draws = Correlated::new(rho, &mut dice);
            let values: Vec<f64> = (0..DRAWS).map(|_| f64::from(draws.draw(&mut dice))).collect();
            let mean = values.iter().sum::<f64>() / f64::from(DRAWS);
            let spread: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            let both: f64 = values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
            // The standard error of a lag-1 correlation is below 1/√n; five of them.
            assert!((both / spread - rho).abs() < 5.0 / f64::from(DRAWS).sqrt(), "{rho}: {}", both / spread);
            // The mean's standard error grows with the correlation.
            assert!((mean / f64::from(u32::MAX) - 0.5).abs() < 0.03, "{rho}: {mean}");
        }
    }

    #[test]
    fn bursts_are_as_long_and_as_frequent_as_asked() {
        let (to_bad, to_good) = (0.02, 0.25);
        let lost = losses(Loss::GilbertElliott { to_bad, to_good, in_bad: 1.0, in_good: 0.0 }, 21);
        let runs: Vec<f64> = lost
            .chunk_by(|a, b| a == b)
            .filter(|run| run[0])
            .map(|run| f64::from(u32::try_from(run.len()).unwrap()))
            .collect();
        let count = f64::from(u32::try_from(runs.len()).unwrap());
        let mean = runs.iter().sum::<f64>() / count;
        // Lengths are geometric: sigma = √(1-r)/r; five standard errors.
        let margin = 5.0 * (1.0_f64 - to_good).sqrt() / to_good / count.sqrt();
        assert!((mean - 1.0 / to_good).abs() < margin, "{mean} ± {margin}");
        let wanted = to_bad / (to_bad + to_good);
        // Each burst counts as one observation.
        assert!((share(&lost) - wanted).abs() < 5.0 * wanted / count.sqrt(), "{}", share(&lost));
    }

    #[test]
    fn each_state_loses_its_own_share() {
        let half = Loss::GilbertElliott { to_bad: 0.5, to_good: 0.5, in_bad: 0.4, in_good: 0.1 };
        let seen = share(&losses(half, 31));
        assert!((seen - 0.25).abs() < margin(0.25), "{seen}");
        let good = Loss::GilbertElliott { to_bad: 0.0, to_good: 0.5, in_bad: 1.0, in_good: 0.1 };
        let seen = share(&losses(good, 32));
        assert!((seen - 0.1).abs() < margin(0.1), "{seen}");
    }

    #[test]
    fn one_seed_repeats_its_losses_and_another_seed_differs() {
        let loss = Loss::Random(Chance { share: 0.3, correlation: 0.2 });
        assert_eq!(losses(loss, 1), losses(loss, 1));
        assert_ne!(losses(loss, 1), losses(loss, 2));
    }

    #[test]
    fn below_never_reaches_its_bound() {
        let mut dice = Dice::new(3);
        let mut seen = [false; 7];
        for _ in 0..1_000 {
            seen[usize::try_from(dice.below(7)).unwrap()] = true;
        }
        assert_eq!(seen, [true; 7]);
    }
}
