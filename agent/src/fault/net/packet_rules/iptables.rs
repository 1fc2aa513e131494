//! The rules of a fault as iptables chains. They are used if nf_tables cannot be used, or if this host or the scenario asks for
//! iptables.
//!
//! The rules choose, spare and end exactly as those of nftables do. A fault for which this is not possible is refused.
//! Unlike an nftables table, chains outlive the process that made them, so an undo must remove them. Until then, their
//! closed gates end the fault.

mod clauses;
mod evidence;
mod expressible;
mod plan;
mod prepare;
mod render;

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
        // The hold begins with the start, which is now or still to come. So the time to the planned end can be longer than the
        // hold, but the hold may also end later than planned.
        let to_planned_end = Duration::from_micros(live.ends_boot_us.saturating_sub(clock::boot_us()));
        let left = to_planned_end.max(hold);
        let staged = with_time_or_without(|with_time| {
            let until = if with_time { until(left + BEHIND) } else { None };
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

    /// Writes the gate's entry again. The gate then stays open for as long as after its opening: the rules have that time,
    /// and `_lease` cannot change it.
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

/// Returns the failure of a step.
fn failed(error: &IptablesError) -> InjectError {
    InjectError(error.to_string())
}
