//! The rules of a fault as iptables chains, used if nf_tables cannot be used, or if this host or the scenario asks for it.
//!
//! Choice, exemptions and ends are the same as by nftables. If that is not possible, the fault is refused; nothing is
//! approximated. Unlike an nftables table, chains outlive the process that made them, so somebody must remove them.
//! Until then their gates end the fault.

mod clauses;
mod evidence;
mod plan;
mod prepare;
mod render;
mod sayable;

use std::time::Duration;

use firedrill_probe::clock;
use firedrill_wire::{Span, evidence::Evidence};

use super::{
    super::rules::PacketRule,
    BEHIND, MakeRule, PacketRules, QueueGate, Unable, Wanted,
    followed::{follow_names, followed_words},
};
use crate::{
    host::{
        Host,
        iptables::{Gates, IptablesError, Made, prefix},
        nft::table::{ALIVE, LEASE},
        queue,
    },
    injection::{InjectError, Injected, IptablesChains, Live, Peers, Prepared},
};
use plan::{chains, gates, until, with_time_or_without};

/// The driver of iptables, with the decisions that were made when an injection was prepared.
pub(super) struct Iptables<'a>(pub(super) &'a IptablesChains);

impl PacketRules for Iptables<'_> {
    fn prepare(host: &Host, wanted: &Wanted<'_>) -> Result<Prepared, Unable> {
        prepare::prepare(host, wanted)
    }

    fn stage(&self, host: &Host, live: &Live, rule: &PacketRule) -> Result<(), InjectError> {
        let IptablesChains { program, families, .. } = self.0;
        if *program != host.iptables.program {
            return Err(InjectError(format!(
                "prepared with {program}, and now there is {}",
                host.iptables.program
            )));
        }
        let hold = live.ask.hold.into();
        let gates = gates(&rule.action, live.lease.into(), hold);
        // The hold counts from the start. Either the start is still to come, or it is now.
        let planned = Duration::from_micros(live.ends_boot_us.saturating_sub(clock::boot_us()));
        let left = planned.max(hold);
        let staged = with_time_or_without(|with| {
            let until = if with { until(left + BEHIND) } else { None };
            let chains = chains(host, &live.ask.id, rule, families, &gates, until.as_deref());
            host.iptables.stage(&live.ask.id, &chains, Gates::closed(families.clone(), &gates))
        });
        staged.map_err(|error| failed(&error))
    }

    fn inject(&self, host: &Host, live: &Live, rule: &MakeRule<'_>) -> Result<Injected, InjectError> {
        let id = &live.ask.id;
        let how = match host.iptables.look(id) {
            Some(Made { gates, .. }) if gates.are_open() => "found open",
            Some(_) => "opened the gates of",
            None => {
                self.stage(host, live, &rule()?)?;
                "installed"
            }
        };
        host.iptables.with_gates(id, |gates| gates.open(id)).map_err(|error| failed(&error))?;
        let detail = format!("{how} iptables chains {}* in table {}", prefix(id), self.0.table);
        Ok(Injected { detail, undo: None })
    }

    fn follow(&self, host: &Host, live: &Live, peers: &Peers) {
        follow_names(host, live, peers, host.iptables.adder(&live.ask.id));
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        let mut evidence = evidence::evidence(host, live, self.0);
        evidence.detail.push_str(&followed_words(host, live));
        evidence
    }

    /// Writes the gate again, which counts as long as when it was opened.
    fn renew(&self, host: &Host, live: &Live, _lease: Span) -> Result<(), InjectError> {
        let id = &live.ask.id;
        host.iptables.with_gates(id, |gates| gates.keep(id, LEASE)).map_err(|error| failed(&error))
    }

    fn queue_gate(&self, host: &Host, live: &Live, queue: u16) -> Result<QueueGate, InjectError> {
        let keep = Box::new(host.iptables.keeper(&live.ask.id, ALIVE));
        // iptables cannot match the tag of packets that are sent again.
        Ok(QueueGate { keep, sender: Some(queue::sender(queue)) })
    }
}

fn failed(error: &IptablesError) -> InjectError {
    InjectError(error.to_string())
}
