//! Decides the fate of each packet: lost, duplicated, corrupted, late, early; and when it may go.
//!
//! Pure: the caller passes the time, and no packet is touched. The order of the draws and their formulas are those of
//! Linux' net/sched/sch_netem.c (`netem_enqueue`, `tabledist`), with two differences. Where netem takes the remainder
//! of a draw, which loses the correlation with the one before, the quotient is taken; the distribution is the same. And
//! a rate has a burst: credit that grows while nothing is sent.

use std::time::Duration;

use super::{
    Impair, Rate,
    chance::{Correlated, Dice, Event, Losing, high},
    table,
};

/// The fate of one packet. Times are nanoseconds on the clock of [`Model::fate`]'s caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// The time at which it is sent; `None` if never.
    pub first: Option<u64>,
    /// The time at which its duplicate is sent; `None` if it has none.
    pub second: Option<u64>,
    /// It was to be lost. If it was to be duplicated as well, one copy is sent.
    pub lost: bool,
    /// It was to be duplicated.
    pub duplicated: bool,
    /// One bit of it is to be flipped.
    pub corrupt: bool,
    /// It overtakes the packets before it.
    pub reordered: bool,
}

/// The random state of one queue.
#[derive(Clone, Debug)]
pub struct Model {
    dice: Dice,
    /// The mean delay, in nanoseconds.
    mean: i64,
    /// The jitter, in nanoseconds.
    sigma: i64,
    delays: Correlated,
    /// The distribution of delays; `None` if it is uniform.
    table: Option<&'static [i16]>,
    losing: Losing,
    doubling: Event,
    damage: Event,
    /// `None` if no packets are reordered.
    overtaking: Option<Event>,
    gap: u32,
    /// Number of packets since the last one that overtook.
    since: u32,
    rate: Option<Pacer>,
}

impl Model {
    /// Makes a model. The same parameters and the same seed give the same fates.
    #[must_use]
    pub fn new(impair: &Impair, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let overtaking =
            (impair.reorder.chance.share > 0.0).then(|| Event::new(impair.reorder.chance, &mut dice));
        Self {
            mean: nanoseconds(impair.delay),
            sigma: nanoseconds(impair.jitter),
            delays: Correlated::new(impair.delay_correlation, &mut dice),
            table: table::of(impair.distribution),
            losing: Losing::new(impair.loss, &mut dice),
            doubling: Event::new(impair.duplicate, &mut dice),
            damage: Event::new(impair.corrupt, &mut dice),
            overtaking,
            gap: impair.reorder.gap.max(1),
            since: 0,
            rate: impair.rate.map(Pacer::new),
            dice,
        }
    }

    /// Decides about the next packet, which arrived at `now` and has this length in bytes.
    pub fn fate(&mut self, now: u64, bytes: usize) -> Fate {
        let duplicated = self.doubling.happens(&mut self.dice);
        let lost = self.losing.happens(&mut self.dice);
        let mut fate = Fate { lost, duplicated, ..Fate::default() };
        if lost && !duplicated {
            return fate;
        }
        fate.corrupt = self.damage.happens(&mut self.dice);
        (fate.first, fate.reordered) = self.when(now, bytes);
        if duplicated && !lost {
            fate.second = self.when(now, bytes).0;
        }
        fate
    }

    /// Returns a random bit of a packet of this length: the byte, and the bit in it.
    pub fn bit(&mut self, bytes: usize) -> (usize, u8) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let byte = usize::try_from(self.dice.below(bytes)).unwrap_or(0);
        (byte, 1 << self.dice.below(8))
    }

    /// Returns the time at which a packet is sent, and whether it overtakes those before it.
    fn when(&mut self, now: u64, bytes: usize) -> (Option<u64>, bool) {
        let early = self.since + 1 >= self.gap
            && self.overtaking.as_mut().is_some_and(|event| event.happens(&mut self.dice));
        if early {
            self.since = 0;
            return (Some(now), true);
        }
        self.since = self.since.saturating_add(1);
        let due = now.saturating_add(self.delay());
        (Some(self.rate.as_mut().map_or(due, |rate| rate.passed(due, bytes))), false)
    }

    /// Returns the delay of the next packet, in nanoseconds, without the limit of a rate.
    fn delay(&mut self) -> u64 {
        let delay = if self.sigma == 0 {
            self.mean
        } else {
            let draw = u64::from(self.delays.draw(&mut self.dice));
            self.mean.saturating_add(match self.table {
                None => within(draw, self.sigma),
                Some(table) => scattered(draw, self.sigma, table),
            })
        };
        // A packet that would have to leave before it arrived leaves at once, as in netem.
        u64::try_from(delay).unwrap_or(0)
    }
}

/// Converts a duration to nanoseconds, limited to 1.6 days so that products do not overflow.
fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX).min(i64::MAX >> 16)
}

/// Returns a uniform deviation within ± sigma.
fn within(draw: u64, sigma: i64) -> i64 {
    let share = (u128::from(draw) * u128::from(sigma.unsigned_abs()) * 2) >> 32;
    i64::try_from(share).unwrap_or(i64::MAX) - sigma
}

/// Returns a deviation by a table: sigma times an entry, rounded. Whole multiples of the scale and the rest are
/// multiplied separately, as in netem's `tabledist`, so that no product overflows.
fn scattered(draw: u64, sigma: i64, table: &[i16]) -> i64 {
    let entries = u64::try_from(table.len()).unwrap_or(0);
    let position = usize::try_from(high(draw * entries)).unwrap_or(0);
    let entry = i64::from(table.get(position).copied().unwrap_or(0));
    let small = (sigma % table::SCALE) * entry;
    let rounding = if small >= 0 { table::SCALE / 2 } else { -table::SCALE / 2 };
    (small + rounding) / table::SCALE + (sigma / table::SCALE) * entry
}

/// A link that carries this many bits per second, one packet after the other.
#[derive(Clone, Debug)]
struct Pacer {
    /// Bits per second.
    bits: u64,
    /// The time that the link needs for a burst, in nanoseconds: as much of a pause counts as already used.
    credit: u64,
    /// The time at which the link has carried all packets before.
    free: u64,
    /// The time at which the last packet has passed.
    last: u64,
}

impl Pacer {
    fn new(rate: Rate) -> Self {
        let bits = rate.bits.max(1);
        let burst = usize::try_from(rate.burst).unwrap_or(usize::MAX);
        Self { bits, credit: carried(burst, bits), free: 0, last: 0 }
    }

    /// Returns the time at which a packet has passed, if it reaches the link at `reached`.
    fn passed(&mut self, reached: u64, bytes: usize) -> u64 {
        let from = self.free.max(reached.saturating_sub(self.credit));
        self.free = from.saturating_add(carried(bytes, self.bits));
        self.last = self.last.max(reached).max(self.free);
        self.last
    }
}

/// Returns the time that the link needs for this many bytes, in nanoseconds.
fn carried(bytes: usize, bits: u64) -> u64 {
    let bytes = u128::try_from(bytes).unwrap_or(u128::MAX >> 64);
    u64::try_from(bytes * 8 * 1_000_000_000 / u128::from(bits)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
