//! A rule for packets: the packets that it selects, those that it spares, and its action on the rest. Pure data, which each
//! firewall renders in its own form.

use firedrill_wire::{
    Share,
    fault::{Connections, Direction, PortRange, Protocol, Refuse, Traffic},
};
use ipnet::IpNet;

use crate::{
    fault::net::detour::Detour,
    injection::{Cgroup, Peers, Service},
};

/// The number of parts into which flows are hashed. A share of flows is a number of these parts.
pub(super) const FLOWS: u32 = 10_000;

/// The packets that a fault chooses, seen from this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The peers; none means all.
    pub peers: Vec<IpNet>,
    /// Ranges of ports on this host (first and last); none means all.
    pub local_ports: Vec<(u16, u16)>,
    /// Ranges of ports on the peer (first and last); none means all.
    pub remote_ports: Vec<(u16, u16)>,
    /// The protocol; `None` means all, or TCP and UDP if ports are given.
    pub protocol: Option<Protocol>,
    /// The direction, seen from this host.
    pub direction: Direction,
    /// Interfaces by which packets arrive or leave; none means all.
    pub interfaces: Vec<String>,
    /// The number of the user whose packets are chosen, among those that this host sends; `None` means all.
    pub user: Option<u32>,
    /// The cgroup of the service whose packets are chosen; `None` means all.
    pub service: Option<Cgroup>,
    /// The tag that queues give an owner's packets when they reinject them. If given, only packets with this tag are chosen.
    pub reinjected: Option<u32>,
    /// The number of flows that are chosen, out of 10,000; `None` means all.
    pub flows: Option<u32>,
    /// The packets of connections that are chosen (those that open one, or replies); `None` means all.
    pub connections: Option<Connections>,
    /// Whether peers of either family may be added later, because names are among the peers.
    pub followed: bool,
    /// Whether packets that the host forwards are chosen too.
    pub forwarded: bool,
}

impl Selector {
    /// Returns the selector of a fault's parameters, with the peers as they were resolved.
    #[must_use]
    pub fn of(traffic: &Traffic<'_>, peers: &Peers) -> Self {
        let pairs = |ports: &[PortRange]| ports.iter().map(|range| (range.first, range.last)).collect();
        Self {
            peers: peers.all().collect(),
            local_ports: pairs(traffic.local_ports),
            remote_ports: pairs(traffic.remote_ports),
            protocol: traffic.protocol,
            direction: traffic.direction,
            interfaces: traffic.interfaces.to_vec(),
            user: peers.user,
            service: peers.service.as_ref().map(Service::cgroup),
            reinjected: None,
            flows: traffic.flows.map(flows),
            connections: traffic.connections,
            followed: peers.names().next().is_some(),
            forwarded: true,
        }
    }
}

impl Default for Selector {
    /// Chooses all packets.
    fn default() -> Self {
        Self::of(&Traffic::all(Direction::Both), &Peers::default())
    }
}

/// Returns the number of flows out of 10,000, at least one.
fn flows(share: Share) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share lies between 0 and 1"
    )]
    let flows = (share.fraction() * f64::from(FLOWS)).round() as u32;
    flows.clamp(1, FLOWS)
}

/// The action of a rule on the selected packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// They are dropped without an answer to the sender.
    Drop,
    /// They are dropped, and the sender gets an answer that says so.
    Reject,
    /// They go to the queue with this number, which decides what becomes of them. The rule has a third gate, which only the
    /// queue keeps open.
    Queue(u16),
    /// They are redirected to an ifb, whose qdisc decides what becomes of them.
    Line(Detour),
}

impl From<Refuse> for Action {
    fn from(how: Refuse) -> Self {
        match how {
            Refuse::Drop => Self::Drop,
            Refuse::Reject => Self::Reject,
        }
    }
}

/// A rule: the packets that it selects, those that it spares, and its action on the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketRule {
    /// The packets that the rule selects.
    pub selector: Selector,
    /// Peers that stay reachable.
    pub except: Vec<IpNet>,
    /// Whether packets on loopback are not spared.
    pub loopback: bool,
    /// The action on the selected packets that are not spared.
    pub action: Action,
}

impl PacketRule {
    /// Returns a rule for the traffic that a fault's parameters choose, with the peers as they were resolved. It spares
    /// loopback.
    #[must_use]
    pub fn on(traffic: &Traffic<'_>, peers: &Peers, action: Action) -> Self {
        Self { selector: Selector::of(traffic, peers), except: peers.except.clone(), loopback: false, action }
    }
}
