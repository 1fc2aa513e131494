//! The engines that shape packets: one trait, and a file for each engine.
//!
//! Engines do the same for the same parameters. An engine that cannot do what is asked refuses; nothing is approximated.
//! The engine is chosen once, when a fault is prepared, and stands in the prepared injection.

mod chosen;
mod kernel;
mod met;
mod user_space;

use firedrill_wire::{api::Problem, evidence::Evidence};

use super::{rules::PacketRule, shape::Shape};
use crate::{
    host::Host,
    injection::{Ask, InjectError, Live, Peers, Prepared},
};

/// The reason why an engine cannot shape the packets of a fault.
#[derive(Debug)]
pub(super) struct Unable {
    /// The reason, as a part of a sentence.
    pub(super) why: String,
    /// The refusal, where this engine and no other was asked for.
    pub(super) problem: Problem,
}

impl From<Problem> for Unable {
    fn from(problem: Problem) -> Self {
        Self { why: problem.title.clone(), problem }
    }
}

/// An engine that shapes the packets which rules hand to it.
pub(super) trait Shaper {
    /// Reads only. Returns the effects and the undo, of the rules too.
    ///
    /// # Errors
    /// The engine cannot do it, or no firewall can have its rules.
    fn prepare(shape: &dyn Shape, host: &Host, ask: &Ask, peers: &Peers) -> Result<Prepared, Unable>
    where
        Self: Sized;

    /// Makes what packets are handed to, unless it is there, and returns the rule that hands them to it. No packet comes
    /// before the gates of the rule are open.
    ///
    /// # Errors
    /// It could not be made.
    fn begin(
        &self,
        shape: &dyn Shape,
        host: &Host,
        live: &Live,
        peers: &Peers,
    ) -> Result<PacketRule, InjectError>;

    /// Says what shapes the packets now, as a part of a sentence.
    fn detail(&self) -> String;

    /// Adds what the engine counted to the evidence of the rules.
    fn evidence(&self, shape: &dyn Shape, host: &Host, live: &Live, rules: Evidence) -> Evidence;
}
