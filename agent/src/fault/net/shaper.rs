//! The engines that shape (delay, lose, limit or change) the packets of a fault: one trait, and a file for each engine.
//!
//! All engines have the same effect for the same parameters. An engine that cannot do exactly what is asked refuses; it
//! approximates nothing. `chosen.rs` chooses the engine once, when a fault is prepared, and the prepared injection names it.

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
    /// The reason, as a part of a sentence. It becomes a note if another engine is taken.
    pub(super) why: String,
    /// The refusal that is answered if no other engine is tried.
    pub(super) problem: Problem,
}

impl From<Problem> for Unable {
    fn from(problem: Problem) -> Self {
        Self { why: problem.title.clone(), problem }
    }
}

/// An engine that shapes the packets that the rules of a fault hand to it.
pub(super) trait Shaper {
    /// Prepares a fault, and changes nothing. Returns the effects and the undo, including those of the rules.
    ///
    /// # Errors
    /// The engine cannot shape packets in this way on this host, or no firewall can have the rules.
    fn prepare(shape: &dyn Shape, host: &Host, ask: &Ask, peers: &Peers) -> Result<Prepared, Unable>
    where
        Self: Sized;

    /// Makes the queue or the interfaces that shape the packets, unless they exist already. Returns the rule that hands packets
    /// to them. No packet comes to them before the gates of that rule are open.
    ///
    /// # Errors
    /// The queue or the interfaces could not be made.
    fn begin(
        &self,
        shape: &dyn Shape,
        host: &Host,
        live: &Live,
        peers: &Peers,
    ) -> Result<PacketRule, InjectError>;

    /// Returns the end of a sentence about an injected fault, with a comma before it, that says what shapes the packets.
    fn detail(&self) -> String;

    /// Returns the evidence of the rules with the engine's own counts added.
    fn evidence(&self, shape: &dyn Shape, host: &Host, live: &Live, rules: Evidence) -> Evidence;
}
