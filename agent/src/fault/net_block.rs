//! `net-block`: drops or rejects traffic with some peers, by rules with gates that the kernel closes by itself.
//!
//! Never touches other tables, never blocks what [`super::net::rules`] exempts, never starts connection tracking.

use firedrill_wire::{
    Span,
    api::Problem,
    evidence::Evidence,
    fault::{Connections, Direction, NetBlock, OnTraffic as _, Protocol, Refuse},
};

use super::net::{
    packet_rules::{self, Wanted},
    peers,
    rules::PacketRule,
    words::{self, Reach},
};
use crate::{
    host::Host,
    injection::{Ask, Inject, InjectError, Injected, Live, Peers, Prepared},
};

impl Inject for NetBlock {
    fn prepare(&self, host: &Host, ask: &Ask) -> Result<Prepared, Problem> {
        let peers = peers::resolve(host, &self.traffic())?;
        let verb = match self.how {
            Refuse::Drop => "drop",
            Refuse::Reject => "reject",
        };
        let effect = format!("{verb} {}", words::packets(&self.traffic(), &peers));
        let (rule, notes) = (rule(self, &peers), notes(self, &peers));
        let wanted = Wanted {
            ask,
            rule: &rule,
            peers: &peers,
            effect: &effect,
            notes,
            shaped_by: None,
            reach: Some(Reach::of(&self.traffic())),
        };
        packet_rules::prepare(self.engine, host, &wanted)
    }

    fn stage(&self, host: &Host, live: &Live) -> Result<(), InjectError> {
        packet_rules::stage(host, live, &rule(self, packet_rules::peers(live)?))
    }

    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError> {
        packet_rules::inject(host, live, &|| Ok(rule(self, packet_rules::peers(live)?)))
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        packet_rules::evidence(host, live)
    }

    fn renew(&self, host: &Host, live: &Live, lease: Span) -> Result<(), InjectError> {
        packet_rules::renew(host, live, lease)
    }
}

/// Returns the rule that drops or rejects the chosen packets.
fn rule(block: &NetBlock, peers: &Peers) -> PacketRule {
    PacketRule::on(&block.traffic(), peers, block.how.into())
}

/// Returns the notes that people should read before the run.
fn notes(block: &NetBlock, peers: &Peers) -> Vec<String> {
    let mut notes: Vec<_> = words::about_service(peers).into_iter().collect();
    if block.direction != Direction::In && block.protocol != Some(Protocol::Tcp) {
        let waits = if block.how == Refuse::Drop { "; TCP waits for its time-out" } else { "" };
        notes.push(format!(
            "programs on this host that send UDP or ICMP to these peers see \"operation not permitted\"{waits}"
        ));
    }
    if block.how == Refuse::Reject {
        notes.push(
            "TCP resets and ICMP port-unreachable messages pass, because they tell the senders of the rejection"
                .to_owned(),
        );
    }
    if block.connections == Some(Connections::Replies) {
        notes.push(
            "connection tracking is switched on in this network namespace while the fault holds, if it is not on already; it \
             does not know which side began connections that existed before"
                .to_owned(),
        );
    }
    notes
}
