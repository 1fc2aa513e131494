//! Descriptions of traffic for people, the same for every kind of fault. Decides nothing.

use firedrill_wire::{
    Span,
    fault::{Connections, Direction, PortRange, Protocol, Traffic},
};

use crate::{host::followers::SERVICE_EVERY, injection::Peers};

/// Whether a fault on traffic reaches forwarded packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It reaches only packets that the host itself sends or receives.
    Own,
    /// It reaches forwarded packets, too.
    Forwarded,
}

impl Reach {
    /// Returns the reach of a fault whose engine can treat forwarded packets. A fault on the packets of one user or service
    /// never reaches forwarded packets, because these have no user and no service.
    #[must_use]
    pub const fn of(traffic: &Traffic<'_>) -> Self {
        if traffic.user.is_some() || traffic.service.is_some() { Self::Own } else { Self::Forwarded }
    }

    /// Describes the reach for people. `before_nat`: packets that come in are chosen before destination NAT.
    #[must_use]
    pub const fn sentence(self, before_nat: bool) -> &'static str {
        match (self, before_nat) {
            (Self::Own, _) => {
                "reaches what the host itself sends and gets, not what it forwards (containers, guests, routed traffic)"
            }
            (Self::Forwarded, false) => {
                "reaches what the host sends and gets and what it forwards (containers, guests, routed traffic); \
                 forwarded packets are judged by the addresses and ports they have after destination NAT"
            }
            (Self::Forwarded, true) => {
                "reaches what the host sends and gets and what it forwards (containers, guests, routed traffic); \
                 packets that come in or pass through are judged by the addresses and ports they have before destination NAT"
            }
        }
    }
}

/// Returns the note for people about faults on the packets of one service; `None` for other faults.
#[must_use]
pub fn about_service(peers: &Peers) -> Option<String> {
    peers.service.as_ref().map(|service| {
        format!(
            "{}'s packets are recognised by the cgroup in which their socket was made; after a restart its new cgroup is found \
             within {}; not recognised are packets of sockets that systemd opened for it (socket activation), and the SYN-ACKs \
             with which the kernel accepts connections; another fault in user space that also chooses other packets hides \
             which service these belong to",
            service.name,
            Span::from(SERVICE_EVERY)
        )
    })
}

/// Returns the chosen packets in words: `TCP packets to and from 10.9.0.2, remote ports 5432`.
#[must_use]
pub fn packets(traffic: &Traffic<'_>, peers: &Peers) -> String {
    let has_ports = !traffic.local_ports.is_empty() || !traffic.remote_ports.is_empty();
    let what = match traffic.protocol {
        Some(Protocol::Tcp) => "TCP packets",
        Some(Protocol::Udp) => "UDP packets",
        Some(Protocol::Icmp) => "ICMP packets",
        None if has_ports => "TCP and UDP packets",
        None => "packets",
    };
    let way = match traffic.direction {
        Direction::In => "from",
        Direction::Out => "to",
        Direction::Both => "to and from",
    };
    let whom = if traffic.to.is_empty() { "all peers".to_owned() } else { peers.describe() };
    format!("{what} {way} {whom}{}{}", ports(traffic), narrowed(traffic, peers))
}

/// Returns the clauses that narrow the choice: `, except with 10.9.0.3`. Empty if the fault has no such clause.
fn narrowed(traffic: &Traffic<'_>, peers: &Peers) -> String {
    let mut text = String::new();
    let except: Vec<_> = peers.except.iter().map(ToString::to_string).collect();
    let clauses = [
        (!except.is_empty()).then(|| format!("except with {}", except.join(", "))),
        (!traffic.interfaces.is_empty()).then(|| format!("by {}", traffic.interfaces.join(" and "))),
        traffic.user.map(|user| format!("sent by programs of user {user}")),
        peers.service.as_ref().map(ToString::to_string),
        traffic.flows.map(|share| format!("{share} of the flows")),
        traffic.connections.map(|connections| match connections {
            Connections::New => "only those that open connections".to_owned(),
            Connections::Replies => "only those that answer".to_owned(),
        }),
    ];
    for clause in clauses.into_iter().flatten() {
        text.push_str(&format!(", {clause}"));
    }
    text
}

/// Returns the ports: `, remote ports 5432`. Empty if the fault is about all ports.
#[must_use]
pub fn ports(traffic: &Traffic<'_>) -> String {
    let mut text = String::new();
    for (ranges, side) in [(traffic.local_ports, "local"), (traffic.remote_ports, "remote")] {
        if !ranges.is_empty() {
            let list: Vec<_> = ranges.iter().map(PortRange::to_string).collect();
            text.push_str(&format!(", {side} ports {}", list.join(", ")));
        }
    }
    text
}
