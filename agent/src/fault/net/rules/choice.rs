//! What a fault on traffic is about: which packets, and what becomes of them.

use firedrill_wire::{
    Share,
    fault::{Connections, Direction, PortRange, Protocol, Refuse, Traffic},
};
use ipnet::IpNet;

use crate::fault::net::{
    detour::Detour,
    peers::Peers,
    service::{Cgroup, Service},
};

/// Flows are chosen by so many parts.
pub(super) const FLOWS: u32 = 10_000;

/// Which packets, seen from this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The peers; none means all.
    pub peers: Vec<IpNet>,
    /// Ports on this host; none means all.
    pub local_ports: Vec<(u16, u16)>,
    /// Ports on the peer; none means all.
    pub remote_ports: Vec<(u16, u16)>,
    /// The protocol; none means all, or TCP and UDP where ports are given.
    pub protocol: Option<Protocol>,
    /// Which way.
    pub direction: Direction,
    /// Interfaces that packets come or go by; none means all.
    pub interfaces: Vec<String>,
    /// The number of the user whose packets are meant, of those that this host sends.
    pub user: Option<u32>,
    /// The service whose packets are meant, by its cgroup.
    pub service: Option<Cgroup>,
    /// Only what queues sent again of somebody's packets, by its tag.
    pub again: Option<u32>,
    /// How many of 10,000 flows.
    pub flows: Option<u32>,
    /// Which packets of connections.
    pub connections: Option<Connections>,
    /// Whether peers of either family may come later: names are among them.
    pub followed: bool,
    /// Whether what passes through the host is chosen too.
    pub forwarded: bool,
}

impl Choice {
    /// As a fault's parameters say, with the peers that were found.
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
            again: None,
            flows: traffic.flows.map(flows),
            connections: traffic.connections,
            followed: peers.names().next().is_some(),
            forwarded: true,
        }
    }
}

impl Default for Choice {
    /// All of it.
    fn default() -> Self {
        Self::of(&Traffic::all(Direction::Both), &Peers::default())
    }
}

/// Of 10,000, and at least one.
fn flows(share: Share) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share lies between 0 and 1"
    )]
    let flows = (share.fraction() * f64::from(FLOWS)).round() as u32;
    flows.clamp(1, FLOWS)
}

/// What becomes of packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They go, and nobody is told.
    Drop,
    /// They go, and the sender is told.
    Reject,
    /// They go to the queue of that number, which decides. The queue keeps a third gate open itself.
    Queue(u16),
    /// They take a line, whose qdiscs decide.
    Line(Detour),
}

impl From<Refuse> for Fate {
    fn from(how: Refuse) -> Self {
        match how {
            Refuse::Drop => Self::Drop,
            Refuse::Reject => Self::Reject,
        }
    }
}

/// What is done to traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Harm {
    /// To which packets.
    pub choice: Choice,
    /// Peers that stay reachable.
    pub except: Vec<IpNet>,
    /// Whether loopback is reached too.
    pub loopback: bool,
    /// What becomes of the packets.
    pub how: Fate,
}

impl Harm {
    /// To the traffic that a fault's parameters choose, with what they were found to stand for; loopback spared.
    #[must_use]
    pub fn on(traffic: &Traffic<'_>, peers: &Peers, how: Fate) -> Self {
        Self { choice: Choice::of(traffic, peers), except: peers.except.clone(), loopback: false, how }
    }
}
