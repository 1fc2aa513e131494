//! The rules of a fault on traffic, whichever firewall has them: one trait, and a file for each firewall.
//!
//! The firewall is chosen once, when a fault is prepared, and stands in the prepared injection.

mod chosen;
mod followed;
mod iptables;
mod nftables;
#[cfg(test)]
mod null;
#[cfg(test)]
mod tests;

pub(super) use chosen::{allowed, prepare_by_nftables, queue_gate};
pub(in crate::fault) use chosen::{evidence, inject, peers, prepare, renew, stage};

use std::time::Duration;

use firedrill_wire::{Span, api::Problem, evidence::Evidence};

use super::{
    rules::{self, PacketRule},
    words::Reach,
};
use crate::{
    host::Host,
    injection::{Ask, Basis, InjectError, Injected, Live, Packets, Peers, Prepared, RuleEngine, ShapeEngine},
};

/// Time by which the kernel's end of the hold comes after the agent's. The kernel counts the hold from the moment at
/// which its gates open. The agent counts it from the moment at which the fault is in force, which it journals a little
/// later. The kernel's end is for an agent that cannot act. It must not race with the last look of an agent that can.
pub(in crate::fault) const BEHIND: Duration = Duration::from_secs(1);

/// A fault that is to be prepared.
#[derive(Clone, Debug)]
pub(in crate::fault) struct Wanted<'a> {
    /// The request.
    pub ask: &'a Ask,
    /// The rule that is wanted.
    pub rule: &'a PacketRule,
    /// The peers whose traffic it is about.
    pub peers: &'a Peers,
    /// The effect, as a sentence.
    pub effect: &'a str,
    /// The engine to which the rules hand packets that they let through, if they do.
    pub shaped_by: Option<ShapeEngine>,
    /// The reach, if people must be told.
    pub reach: Option<Reach>,
    /// Notes that people should read before they agree.
    pub notes: Vec<String>,
}

impl Wanted<'_> {
    /// Returns the basis of an injection whose rules this firewall has.
    pub(super) fn basis(&self, rules: RuleEngine) -> Basis {
        Basis::Packets(Packets { peers: self.peers.clone(), rules, shaped_by: self.shaped_by })
    }

    /// Returns all notes; the first one says which traffic is spared. `before_nat`: forwarded packets are judged before
    /// NAT changes any address.
    pub(super) fn all_notes(&self, host: &Host, before_nat: bool) -> Vec<String> {
        let mut notes = vec![rules::exempt(host, self.rule.loopback)];
        notes.extend(self.reach.map(|reach| reach.sentence(before_nat).to_owned()));
        notes.extend_from_slice(&self.notes);
        notes
    }
}

/// The reason why a firewall cannot have the rules of a fault.
#[derive(Debug)]
pub(super) enum Unable {
    /// It is this firewall that cannot; another one may.
    Firewall(Problem),
    /// This host cannot, by whatever firewall.
    Host(Problem),
}

impl Unable {
    /// Returns the refusal.
    pub(super) fn problem(self) -> Problem {
        match self {
            Self::Firewall(problem) | Self::Host(problem) => problem,
        }
    }
}

/// Makes the rule of a fault, with what it needs. Called only if it is not in place yet.
pub(in crate::fault) type MakeRule<'a> = dyn Fn() -> Result<PacketRule, InjectError> + 'a;

/// A gate of rules that send packets to a queue. Only the queue's own loop keeps it open.
pub(super) struct QueueGate {
    /// Keeps the gate open for another while.
    pub(super) keep: Box<dyn FnMut() + Send>,
    /// The number of the user who sends packets again, if the rules know such packets by that. Otherwise they know them
    /// by their tag.
    pub(super) sender: Option<u32>,
}

/// A firewall that has a fault's rules. Rules are made whole, behind gates that the kernel closes by itself: one is
/// renewed with the lease, one ends with the hold.
pub(super) trait PacketRules {
    /// Reads only. Tries the rule out without installing it, and returns what will be installed and its undo.
    ///
    /// # Errors
    /// The refusal.
    fn prepare(host: &Host, wanted: &Wanted<'_>) -> Result<Prepared, Unable>
    where
        Self: Sized;

    /// Installs the rule with closed gates, so that no packet is judged.
    ///
    /// # Errors
    /// It could not be installed.
    fn stage(&self, host: &Host, live: &Live, rule: &PacketRule) -> Result<(), InjectError>;

    /// Opens the gates of the staged rule, or installs it with open gates.
    ///
    /// # Errors
    /// It could not be installed or opened.
    fn inject(&self, host: &Host, live: &Live, rule: &MakeRule<'_>) -> Result<Injected, InjectError>;

    /// Starts to look up names among the peers, and the service, again and again while the rules exist.
    fn follow(&self, host: &Host, live: &Live, peers: &Peers);

    /// Looks whether the rules are there with all gates open, and reads their counters.
    fn evidence(&self, host: &Host, live: &Live) -> Evidence;

    /// Moves the gate of the lease.
    ///
    /// # Errors
    /// The lease has ended, or the rules are gone.
    fn renew(&self, host: &Host, live: &Live, lease: Span) -> Result<(), InjectError>;

    /// Returns the gate of a queue to which the rules will send packets.
    ///
    /// # Errors
    /// The firewall could not be reached.
    fn queue_gate(&self, host: &Host, live: &Live, queue: u16) -> Result<QueueGate, InjectError>;
}
