//! The rules of a fault on traffic, as each firewall makes them: one trait, and a file for each firewall.
//!
//! The firewall is chosen once, when a fault is prepared, and the prepared injection names it. Rules have gates: conditions
//! that the kernel itself makes false when their time is over, so that the rules end even if the agent cannot act.

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

/// The time from the agent's end of the hold to the kernel's. The kernel's end is for an agent that cannot act. It must not
/// come before the last look of an agent that can act. The kernel counts the hold from the opening of the gates, the agent
/// from the moment at which it has journaled the fault as in force, which is a little later.
pub(in crate::fault) const BEHIND: Duration = Duration::from_secs(1);

/// A fault that is to be prepared.
#[derive(Clone, Debug)]
pub(in crate::fault) struct Wanted<'a> {
    /// The request.
    pub ask: &'a Ask,
    /// The rule that the firewall shall have.
    pub rule: &'a PacketRule,
    /// The peers whose traffic the fault is about.
    pub peers: &'a Peers,
    /// The effect, as a sentence.
    pub effect: &'a str,
    /// The engine to which the rules hand packets; `None` if the rules drop or reject them.
    pub shaped_by: Option<ShapeEngine>,
    /// Whether forwarded packets are reached, for a note; `None` for no note.
    pub reach: Option<Reach>,
    /// Notes that people should read before they agree.
    pub notes: Vec<String>,
}

impl Wanted<'_> {
    /// Returns the basis of an injection whose rules are made by this firewall.
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
    /// This firewall cannot have them; another firewall may.
    Firewall(Problem),
    /// No firewall of this host can have them.
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

/// Makes the rule of a fault, and the queue or the interfaces to which it hands packets. Called only if the rule is not in
/// place yet.
pub(in crate::fault) type MakeRule<'a> = dyn Fn() -> Result<PacketRule, InjectError> + 'a;

/// A gate of rules that send packets to a queue. Only the queue's own loop keeps it open.
pub(super) struct QueueGate {
    /// Keeps the gate open for some more time.
    pub(super) keep: Box<dyn FnMut() + Send>,
    /// The number of the user as whom the queue sends packets on, if the rules recognise such packets by their user. `None`
    /// if the rules recognise them by their tag.
    pub(super) sender: Option<u32>,
}

/// A firewall that has a fault's rules. All rules of a fault appear at once. They have at least two gates, which the kernel
/// closes by itself: one is renewed with the lease, one closes with the hold.
pub(super) trait PacketRules {
    /// Reads only. Tries the rule out without installing it, and returns what will be installed and its undo.
    ///
    /// # Errors
    /// The refusal.
    fn prepare(host: &Host, wanted: &Wanted<'_>) -> Result<Prepared, Unable>
    where
        Self: Sized;

    /// Installs the rule with closed gates, so that it has no effect yet.
    ///
    /// # Errors
    /// It could not be installed.
    fn stage(&self, host: &Host, live: &Live, rule: &PacketRule) -> Result<(), InjectError>;

    /// Opens the gates of the staged rule, or installs it with open gates.
    ///
    /// # Errors
    /// It could not be installed or opened.
    fn inject(&self, host: &Host, live: &Live, rule: &MakeRule<'_>) -> Result<Injected, InjectError>;

    /// Starts to follow the peers' names and the service: looks them up again and again while the rules exist, and adds to
    /// the rules what is new.
    fn follow(&self, host: &Host, live: &Live, peers: &Peers);

    /// Looks whether the rules are there with all gates open, and reads their counters.
    fn evidence(&self, host: &Host, live: &Live) -> Evidence;

    /// Keeps the gate of the lease open for the time `lease` from now on.
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
