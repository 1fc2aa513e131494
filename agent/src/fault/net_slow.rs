//! `net-slow`: delays every chosen packet by a random time around a mean.

use firedrill_wire::fault::{self, Direction, NetSlow};

use super::net::shape::Shape;
use crate::host::impair::{Distribution, Impair};

impl Shape for NetSlow {
    fn impair(&self) -> Impair {
        Impair {
            delay: self.delay.into(),
            jitter: self.jitter.into(),
            delay_correlation: self.correlation.fraction(),
            distribution: match self.distribution {
                fault::Distribution::Uniform => Distribution::Uniform,
                fault::Distribution::Normal => Distribution::Normal,
                fault::Distribution::Pareto => Distribution::Pareto,
                fault::Distribution::ParetoNormal => Distribution::ParetoNormal,
            },
            ..Impair::default()
        }
    }

    fn words(&self) -> (String, String) {
        let by = if self.jitter.is_zero() {
            format!(" by {}", self.delay)
        } else {
            let how = match self.distribution {
                fault::Distribution::Uniform => "uniform",
                fault::Distribution::Normal => "normal",
                fault::Distribution::Pareto => "Pareto",
                fault::Distribution::ParetoNormal => "Pareto-normal",
            };
            format!(" by {} ± {} ({how})", self.delay, self.jitter)
        };
        ("delay".to_owned(), by)
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.direction == Direction::Both {
            notes.push("delayed each way: a round trip takes twice the delay longer".to_owned());
        }
        if !self.jitter.is_zero() {
            notes.push("packets whose delays differ may overtake each other, as with netem".to_owned());
        }
        notes
    }
}
