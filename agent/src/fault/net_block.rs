//! `net-block`: drop or reject traffic with some peers, behind gates that the kernel closes by itself.
//!
//! Never touches other tables, never blocks what [`super::net::rules`] exempts, never starts connection tracking.

use firedrill_wire::{
    Span,
    api::Problem,
    evidence::Evidence,
    fault::{Direction, NetBlock, PortRange, Protocol, Refuse},
};

use super::{
    Ask, Inject, InjectError, Injected, Live, Prepared,
    net::{
        peers::Peers,
        rules::{Choice, Harm},
        table_fault,
    },
    refuse,
};
use crate::host::Host;

impl Inject for NetBlock {
    fn prepare(&self, host: &Host, ask: &Ask) -> Result<Prepared, Problem> {
        let ports = !self.local_ports.is_empty() || !self.remote_ports.is_empty();
        if self.to.is_empty() && !ports {
            return Err(refuse(
                "no-peers",
                "net-block without peers and without ports would cut the host off",
                "name peers in `to`, or ports; to cut a host off use host-isolate",
            ));
        }
        if ports && self.protocol == Some(Protocol::Icmp) {
            return Err(refuse(
                "no-ports",
                "ICMP has no ports",
                "leave out `local_ports` and `remote_ports`, or choose tcp or udp",
            ));
        }
        let peers = Peers::find(&self.to)?;
        table_fault::prepare(host, ask, &harm(self, &peers), &peers, &effect(self, &peers), notes(self))
    }

    fn stage(&self, host: &Host, live: &Live) -> Result<(), InjectError> {
        table_fault::stage(host, live, &harm(self, &table_fault::peers(live)?))
    }

    fn inject(&self, host: &Host, live: &Live) -> Result<Injected, InjectError> {
        table_fault::inject(host, live, || Ok(harm(self, &table_fault::peers(live)?)))
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        table_fault::evidence(host, live)
    }

    fn renew(&self, host: &Host, live: &Live, lease: Span) -> Result<(), InjectError> {
        table_fault::renew(host, live, lease)
    }
}

fn harm(block: &NetBlock, peers: &Peers) -> Harm {
    let pairs = |ports: &[PortRange]| ports.iter().map(|range| (range.first, range.last)).collect();
    Harm {
        choice: Choice {
            peers: peers.all().collect(),
            local_ports: pairs(&block.local_ports),
            remote_ports: pairs(&block.remote_ports),
            protocol: block.protocol,
            direction: block.direction,
        },
        except: Vec::new(),
        how: block.how,
    }
}

/// One sentence: `drop TCP packets to and from 10.9.0.2, remote ports 5432`.
fn effect(block: &NetBlock, peers: &Peers) -> String {
    let list = |ports: &[PortRange]| ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let verb = match block.how {
        Refuse::Drop => "drop",
        Refuse::Reject => "reject",
    };
    let ports = !block.local_ports.is_empty() || !block.remote_ports.is_empty();
    let what = match block.protocol {
        Some(Protocol::Tcp) => "TCP packets",
        Some(Protocol::Udp) => "UDP packets",
        Some(Protocol::Icmp) => "ICMP packets",
        None if ports => "TCP and UDP packets",
        None => "packets",
    };
    let way = match block.direction {
        Direction::In => "from",
        Direction::Out => "to",
        Direction::Both => "to and from",
    };
    let whom = if block.to.is_empty() { "all peers".to_owned() } else { peers.describe() };
    let mut text = format!("{verb} {what} {way} {whom}");
    for (ports, whose) in [(&block.local_ports, "local"), (&block.remote_ports, "remote")] {
        if !ports.is_empty() {
            text.push_str(&format!(", {whose} ports {}", list(ports)));
        }
    }
    text
}

fn notes(block: &NetBlock) -> Vec<String> {
    let mut notes = vec![
        "reaches what the host sends and gets and what it forwards (containers, guests, routed traffic); forwarded \
         packets are judged by the addresses and ports they have after destination NAT"
            .to_owned(),
    ];
    if block.how == Refuse::Drop && block.direction != Direction::In && block.protocol != Some(Protocol::Tcp)
    {
        notes.push(
            "programs on this host that send UDP or ICMP to these peers see \"operation not permitted\" rather than \
             silence; TCP waits for its time-out"
                .to_owned(),
        );
    }
    if block.how == Refuse::Reject {
        notes.push("TCP resets and ICMP port-unreachable messages pass, or nobody would be told".to_owned());
    }
    notes
}
