//! What is to become of packets on their way: the parameters that every engine understands alike, with netem's
//! meanings (tc-netem(8)), and the dice that decide it packet by packet where no netem does.
//!
//! Never touches a packet; an engine that cannot do some of it refuses, and nothing is approximated.

mod chance;
mod model;
mod table;

pub use model::{Fate, Model};

use std::time::Duration;

/// How delays scatter around their mean, by netem's tables: one sigma is the jitter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Distribution {
    /// Evenly within mean ± jitter.
    #[default]
    Uniform,
    /// Bell-shaped.
    Normal,
    /// Heavy on one side.
    Pareto,
    /// A quarter normal, three quarters Pareto, as netem's table of that name.
    ParetoNormal,
}

/// The table of a distribution, as netem takes it; an even one needs none.
#[must_use]
pub fn table_of(distribution: Distribution) -> Option<&'static [i16]> {
    table::of(distribution)
}

/// Something that happens to a share of packets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Chance {
    /// How many of all, 0 to 1.
    pub share: f64,
    /// How much each draw depends on the one before, 0 to 1.
    pub correlation: f64,
}

/// Which packets get lost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each by chance.
    Random(Chance),
    /// In bursts: two states, the chance of passing from one to the other at each packet, and the loss in each.
    GilbertElliott {
        /// From good to bad, 0 to 1 (netem's `p`).
        to_bad: f64,
        /// From bad to good, 0 to 1 (netem's `r`).
        to_good: f64,
        /// The loss in the bad state, 0 to 1 (netem's `1-h`).
        in_bad: f64,
        /// The loss in the good state, 0 to 1 (netem's `1-k`).
        in_good: f64,
    },
}

/// Packets that overtake: they are sent at once while the others are delayed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reorder {
    /// Which.
    pub chance: Chance,
    /// Only every so-manieth packet is a candidate; 0 and 1 mean each.
    pub gap: u32,
}

/// So much and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bits a second, IP packets counted.
    pub bits: u64,
    /// Bytes that may go at once after a pause.
    pub burst: u32,
}

/// All that is to become of the chosen packets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Impair {
    /// The mean delay.
    pub delay: Duration,
    /// One sigma of the delay; for [`Distribution::Uniform`] the half width.
    pub jitter: Duration,
    /// How much each delay depends on the one before, 0 to 1.
    pub delay_correlation: f64,
    /// How delays scatter.
    pub distribution: Distribution,
    /// Which get lost.
    pub loss: Loss,
    /// Which come twice.
    pub duplicate: Chance,
    /// Which get one bit flipped.
    pub corrupt: Chance,
    /// Which overtake.
    pub reorder: Reorder,
    /// How much may pass.
    pub rate: Option<Rate>,
}
