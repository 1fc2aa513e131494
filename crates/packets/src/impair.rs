//! The impairments of packets: parameters that every engine understands alike, with netem's meanings (tc-netem(8)), and
//! a model that decides for each packet where there is no netem.
//!
//! Never touches a packet. An engine refuses an impairment that it cannot do; it never approximates one.

mod chance;
mod model;
mod reach;
mod table;

pub use model::{Fate, Model};
pub use reach::Picked;
pub use table::{Distribution, of as table_of};

use std::time::Duration;

/// An impairment of a share of packets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Chance {
    /// The share of all packets, 0 to 1.
    pub share: f64,
    /// The correlation of each draw with the one before, 0 to 1.
    pub correlation: f64,
}

/// The loss of packets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each packet by chance.
    Random(Chance),
    /// In bursts: two states, the chance of passing from one to the other at each packet, and the loss in each.
    GilbertElliott {
        /// The chance from good to bad, 0 to 1 (netem's `p`).
        to_bad: f64,
        /// The chance from bad to good, 0 to 1 (netem's `r`).
        to_good: f64,
        /// The loss in the bad state, 0 to 1 (netem's `1-h`).
        in_bad: f64,
        /// The loss in the good state, 0 to 1 (netem's `1-k`).
        in_good: f64,
    },
}

/// Reordered packets: they are sent at once while the others are delayed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reorder {
    /// The share of the candidates.
    pub chance: Chance,
    /// A packet is a candidate if at least `gap - 1` packets were delayed since the last one that overtook; with 0 and 1
    /// every packet is one.
    pub gap: u32,
}

/// A maximum rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bits per second of IP packets.
    pub bits: u64,
    /// Bytes that may be sent at once after a pause.
    pub burst: u32,
}

/// All impairments of the chosen packets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Impair {
    /// The mean delay.
    pub delay: Duration,
    /// One sigma of the delay; for [`Distribution::Uniform`] the half width.
    pub jitter: Duration,
    /// The correlation of each delay with the one before, 0 to 1.
    pub delay_correlation: f64,
    /// The distribution of delays.
    pub distribution: Distribution,
    /// The packets that are lost.
    pub loss: Loss,
    /// The packets that are duplicated.
    pub duplicate: Chance,
    /// The packets in which one bit is flipped.
    pub corrupt: Chance,
    /// The packets that overtake.
    pub reorder: Reorder,
    /// The maximum rate.
    pub rate: Option<Rate>,
}
